import { createCache } from 'async-cache-dedupe';
import { openSecrets, type SecretVault } from '@keyturn/client';
import { LRUCache } from 'lru-cache';

/** One way to get a secret that is fetched live. */
export interface Contender {
  get(name: string): Promise<unknown>;
}

export type Vault = SecretVault & { getSecret(name: string): ReturnType<SecretVault['getSecret']> };

export const contenders: Readonly<Record<string, (vault: Vault, ttlMs: number) => Contender>> = {
  keyturn: (vault, ttlMs) => openSecrets({ vault, ttlMs }),

  // What most blog posts show.
  'naive TTL Map': (vault, ttlMs) => {
    const cache = new Map<string, { readonly value: unknown; readonly until: number }>();
    return {
      async get(name) {
        const cached = cache.get(name);
        if (cached && Date.now() < cached.until) return cached.value;
        const value = await vault.getSecret(name);
        cache.set(name, { value, until: Date.now() + ttlMs });
        return value;
      },
    };
  },

  'lru-cache (SWR)': (vault, ttlMs) => {
    const cache = new LRUCache<string, object>({
      max: 100,
      ttl: ttlMs,
      allowStale: true,
      noDeleteOnStaleGet: true,
      noDeleteOnFetchRejection: true,
      allowStaleOnFetchRejection: true,
      fetchMethod: (name) => vault.getSecret(name),
    });
    return { get: (name) => cache.fetch(name) };
  },

  'async-cache-dedupe': (vault, ttlMs) => {
    const cache = createCache({ ttl: ttlMs / 1_000, stale: 86_400 }).define('secret', (name: string) =>
      vault.getSecret(name),
    );
    return { get: (name) => cache.secret(name) };
  },
};
