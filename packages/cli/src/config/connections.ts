import { homedir } from 'node:os';
import { join } from 'node:path';
import { entraPassword, keyVault, type JournalUrl, type Vault } from '@keyturn/rotator';
import { startEmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import type { Configuration } from './schema.ts';

/** The vault of a configuration. */
export function openVault(config: Configuration): Vault {
  // The time limit of a secret's own requests is the strictest of all: one client serves every secret.
  const requestTimeoutMs = Math.min(
    ...Object.values(config.secrets).map(({ requestTimeout }) => requestTimeout),
  );
  return keyVault({ url: config.vault, requestTimeoutMs });
}

/** The journal's database: the one whose URL the vault holds, one that takes tokens, or an embedded one that ends with this process. */
export async function openJournalDatabase(
  { journal }: Configuration,
  vault: Vault,
): Promise<{ url: JournalUrl; close(): Promise<void> }> {
  const close = async (): Promise<void> => undefined;
  if (journal && 'secret' in journal)
    return { url: (await vault.current(journal.secret)).value.reveal(), close };
  if (journal && 'url' in journal) return { url: { url: journal.url, password: entraPassword() }, close };
  const server = await startEmbeddedPostgres({
    dataFolder: journal?.data ?? defaultDataFolder(),
    endsWithProcess: true, // whoever comes next starts it again; nothing stays behind, however this one ends
  });
  return { url: server.url(), close: () => server.stop() };
}

/** Root's home is closed to the user that the embedded database runs as. */
export function defaultDataFolder(): string {
  if (process.getuid?.() === 0) return '/var/lib/keyturn';
  return join(process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'keyturn');
}

/** Where instances connect. */
export function fleetAddress({ fleet }: Configuration) {
  const { listen, lease, heartbeat } = fleet;
  const colon = listen.lastIndexOf(':');
  return {
    host: listen.slice(0, colon),
    port: Number(listen.slice(colon + 1)),
    leaseMs: lease,
    heartbeatMs: heartbeat,
  };
}
