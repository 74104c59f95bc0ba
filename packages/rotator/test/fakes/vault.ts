import type { SecretValue } from '@keyturn/source';
import { RotatorError } from '../../src/rotator-error.ts';
import type { Vault, VaultVersion, VersionTags } from '../../src/vault.ts';
import type { SetClock } from './clock.ts';

export interface StoredVersion {
  readonly version: string;
  readonly value: SecretValue;
  readonly setAt: number;
  /** False if a person set it. */
  readonly byKeyturn: boolean;
  /** True if it was published before the source had accepted its value. */
  readonly unproven: boolean;
  enabled: boolean;
  tags: VersionTags;
  /** How many tags of their own people have put on it. */
  peoplesTags: number;
}

export const vaultUrl = 'https://orders.vault.azure.net';

/** `lost`: it takes effect and the answer is lost. `late`: it takes effect that long after it was sent. */
export type PublishFault = { readonly kind: 'lost' } | { readonly kind: 'late'; readonly afterMs: number };

export interface FakeVault {
  readonly port: Vault;
  /** Every version, oldest first. */
  readonly stored: readonly StoredVersion[];
  newest(): StoredVersion;
  find(version: string): StoredVersion;
  /** A person sets a new version. */
  set(value: SecretValue, tags?: VersionTags): StoredVersion;
  /** What happens to the next publication. */
  faultNextPublish(fault: PublishFault): void;
  /** The next calls of this method have no answer and no effect. */
  cutOff(method: keyof Vault, times: number): void;
}

/** One secret in memory, with Key Vault's semantics. `isProven` says whether the source has accepted a value. */
export function openFakeVault(options: {
  clock: SetClock;
  requestTimeoutMs: number;
  isProven: (value: SecretValue) => boolean;
}): FakeVault {
  const { clock, requestTimeoutMs, isProven } = options;
  const stored: StoredVersion[] = [];
  const publishFaults: PublishFault[] = [];
  const cuts = new Map<keyof Vault, number>();

  function newest(): StoredVersion {
    const last = stored.at(-1);
    if (!last) throw new RotatorError('VAULT_NO_SECRET', 'There is none of that name.');
    return last;
  }

  function find(version: string): StoredVersion {
    const found = stored.find((candidate) => candidate.version === version);
    if (!found) throw new RotatorError('VAULT_NO_SECRET', `There is no version ${version}.`);
    return found;
  }

  function add(value: SecretValue, tags: VersionTags, byKeyturn: boolean): StoredVersion {
    const version: StoredVersion = {
      version: `v${stored.length + 1}`,
      value,
      setAt: clock.now(),
      byKeyturn,
      unproven: byKeyturn && !isProven(value),
      enabled: true,
      tags,
      peoplesTags: stored.at(-1)?.peoplesTags ?? 0,
    };
    stored.push(version);
    return version;
  }

  function addTags(version: StoredVersion, tags: VersionTags): void {
    const all = { ...version.tags, ...tags };
    if (Object.keys(all).length + version.peoplesTags > 15)
      throw new RotatorError('VAULT_UNEXPECTED', 'A secret has at most 15 tags.');
    version.tags = all;
  }

  function reachable(method: keyof Vault): void {
    const left = cuts.get(method) ?? 0;
    if (left === 0) return;
    cuts.set(method, left - 1);
    throw noAnswer();
  }

  function readable(version: StoredVersion): StoredVersion {
    if (version.enabled) return version;
    throw new RotatorError('VAULT_DISABLED', `Version ${version.version} is disabled.`);
  }

  const port: Vault = {
    url: vaultUrl,
    async current() {
      reachable('current');
      const version = readable(newest());
      return { ...shown(version), value: version.value };
    },
    async versions() {
      reachable('versions');
      // Versions of one second have no order: the older one first is the harder case.
      return stored.map(shown).toSorted((one, other) => other.createdAt - one.createdAt);
    },
    async read(_secret, version) {
      reachable('read');
      return readable(find(version)).value;
    },
    async publish(_secret, value, { tags }) {
      reachable('publish');
      const fault = publishFaults.shift();
      if (fault?.kind === 'late') {
        clock.at(clock.now() + fault.afterMs, () => add(value, tags, true));
        clock.advance(requestTimeoutMs);
        throw noAnswer();
      }
      const version = add(value, tags, true);
      if (fault?.kind === 'lost') throw noAnswer();
      return shown(version);
    },
    async tag(_secret, version, tags) {
      reachable('tag');
      addTags(find(version), tags);
    },
    async disable(_secret, version, tags) {
      reachable('disable');
      const found = find(version);
      addTags(found, tags);
      found.enabled = false;
    },
  };

  return {
    port,
    stored,
    newest,
    find,
    set: (value, tags = {}) => add(value, tags, false),
    faultNextPublish: (fault) => void publishFaults.push(fault),
    cutOff: (method, times) => void cuts.set(method, times),
  };
}

function shown({ version, enabled, setAt, tags, peoplesTags }: StoredVersion): VaultVersion {
  return { version, enabled, createdAt: Math.floor(setAt / 1_000) * 1_000, tags: { ...tags }, peoplesTags };
}

function noAnswer(): RotatorError {
  return new RotatorError('VAULT_UNREACHABLE', 'Could not reach the vault: no answer.');
}
