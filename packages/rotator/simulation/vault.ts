import type { SecretValue } from '@keyturn/source';
import { RotatorError } from '../src/rotator-error.ts';
import type { Vault, VaultVersion, VersionTags } from '../src/vault.ts';
import type { Credential, SimulatedSource } from './source.ts';

export interface StoredVersion {
  readonly version: string;
  readonly credential: Credential;
  readonly setAt: number;
  readonly byKeyturn: boolean;
  /** It was published before the source had said yes to it. */
  readonly unproven: boolean;
  /** What it holds was refused already when it was set. */
  readonly stillborn: boolean;
  enabled: boolean;
  disabledByKeyturn: boolean;
  tags: VersionTags;
}

type Effects = { readonly [Method in Exclude<keyof Vault, 'url'>]: Effect<Vault[Method]> };
type Effect<Method> = Method extends (...all: infer Arguments) => Promise<infer Result>
  ? (...all: Arguments) => Result
  : never;

/** One secret, with Key Vault's semantics. What it does it does at once; the network is elsewhere. */
export interface SimulatedVault extends Effects {
  /** Every version, oldest first. */
  readonly stored: readonly StoredVersion[];
  newest(): StoredVersion;
  /** Undefined if there is no such version. */
  find(version: string): StoredVersion | undefined;
  set(value: SecretValue, tags: VersionTags, byKeyturn: boolean): StoredVersion;
}

export function openVault(at: {
  readonly source: SimulatedSource;
  readonly now: () => number;
}): SimulatedVault {
  const { source, now } = at;
  const stored: StoredVersion[] = [];

  function newest(): StoredVersion {
    const last = stored.at(-1);
    if (!last) throw new RotatorError('VAULT_NO_SECRET', 'There is none of that name.');
    return last;
  }

  const find = (version: string): StoredVersion | undefined => stored.find((one) => one.version === version);

  function known(version: string): StoredVersion {
    const found = find(version);
    if (!found) throw new RotatorError('VAULT_NO_SECRET', `There is no version ${version}.`);
    return found;
  }

  function readable(version: StoredVersion): StoredVersion {
    if (version.enabled) return version;
    throw new RotatorError('VAULT_DISABLED', `Version ${version.version} is disabled.`);
  }

  function set(value: SecretValue, tags: VersionTags, byKeyturn: boolean): StoredVersion {
    const credential = source.credentialOf(value);
    const works = credential.alive && !credential.lost;
    const version: StoredVersion = {
      version: `v${stored.length + 1}`,
      credential,
      setAt: now(),
      byKeyturn,
      unproven: byKeyturn && !credential.proven,
      stillborn: !works,
      enabled: true,
      disabledByKeyturn: false,
      tags,
    };
    stored.push(version);
    return version;
  }

  return {
    stored,
    newest,
    find,
    set,
    current() {
      const version = readable(newest());
      return { ...shown(version), value: version.credential.value };
    },
    // Versions of one second have no order: the older one first is the harder case.
    versions: () => stored.map(shown).toSorted((one, other) => other.createdAt - one.createdAt),
    read: (_secret, version) => readable(known(version)).credential.value,
    publish: (_secret, value, { tags }) => shown(set(value, tags, true)),
    tag(_secret, version, tags) {
      const found = known(version);
      found.tags = { ...found.tags, ...tags };
    },
    disable(_secret, version, tags) {
      const found = known(version);
      found.tags = { ...found.tags, ...tags };
      found.enabled = false;
      found.disabledByKeyturn = true;
    },
  };
}

function shown({ version, enabled, setAt, tags }: StoredVersion): VaultVersion {
  return { version, enabled, createdAt: Math.floor(setAt / 1_000) * 1_000, tags, peoplesTags: 0 };
}
