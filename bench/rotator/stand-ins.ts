import { randomBytes } from 'node:crypto';
import type { Vault, VaultVersion } from '@keyturn/rotator';
import { SecretValue, SourceError, type Source } from '@keyturn/source';

// A vault and a source that answer at once, so that what is measured is the rotator.

export function openVault(secrets: readonly string[]): Vault {
  type Stored = VaultVersion & { readonly value: SecretValue };
  const all = new Map<string, Stored[]>();
  const stored = (secret: string): Stored[] => all.get(secret) ?? [];
  const add = (secret: string, value: SecretValue, tags: VaultVersion['tags']): Stored => {
    const version = randomBytes(16).toString('hex');
    const createdAt = Math.floor(Date.now() / 1_000) * 1_000;
    const made = { version, enabled: true, createdAt, tags, peoplesTags: 0, value };
    all.set(secret, [made, ...stored(secret)]);
    return made;
  };
  const change = (secret: string, version: string, by: (one: Stored) => Partial<Stored>): void =>
    void all.set(
      secret,
      stored(secret).map((one) => (one.version === version ? { ...one, ...by(one) } : one)),
    );
  for (const secret of secrets) add(secret, new SecretValue(`first of ${secret}`), { credential: 'a' });

  return {
    url: 'https://orders.vault.azure.net',
    async current(secret) {
      const [newest] = stored(secret);
      if (!newest) throw new Error(`There is no secret ${secret}.`);
      return newest;
    },
    versions: async (secret) => stored(secret),
    async read(secret, version) {
      const found = stored(secret).find((one) => one.version === version);
      if (!found) throw new Error(`There is no version ${version} of ${secret}.`);
      return found.value;
    },
    publish: async (secret, value, { tags }) => add(secret, value, tags),
    tag: async (secret, version, tags) =>
      change(secret, version, (one) => ({ tags: { ...one.tags, ...tags } })),
    disable: async (secret, version, tags) =>
      change(secret, version, (one) => ({ enabled: false, tags: { ...one.tags, ...tags } })),
  };
}

export function openSource(secret: string): Source {
  const live = new Map<string, SecretValue>([['a', new SecretValue(`first of ${secret}`)]]);
  return {
    kind: 'stand-in',
    async issue(rotation) {
      const [ref, value] = [`b#${rotation}`, new SecretValue(randomBytes(32).toString('base64url'))];
      live.set(ref, value);
      return { ref, value };
    },
    async prove(value) {
      if (![...live.values()].some((one) => one.equals(value))) throw new SourceError('REFUSED', 'No.');
    },
    usage: async () => ({ sessions: [] }),
    revoke: async (ref) => void live.delete(ref),
    list: async () => [...live.keys()],
  };
}
