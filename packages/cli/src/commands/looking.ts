import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  emptyJournal,
  openJournalView,
  RotatorError,
  systemClock,
  type JournalView,
  type OpenJournalView,
  type SecretPolicy,
  type Vault,
} from '@keyturn/rotator';
import type { Source } from '@keyturn/source';
import { CliError } from '../cli-error.ts';
import { defaultDataFolder, openJournalDatabase, openVault } from '../config/connections.ts';
import { loadFile } from '../config/load.ts';
import { configurationFile, type Configuration } from '../config/schema.ts';
import { configuredSecrets } from '../config/secrets.ts';

/** What a command that only looks works with. */
export interface Looking {
  readonly vault: Vault;
  readonly secrets: readonly { readonly policy: SecretPolicy; readonly source: Source }[];
  readonly journal: JournalView;
  /** Absent where no rotator has ever worked, or the journal can't be reached. */
  readonly opened?: OpenJournalView;
}

/** Opens what is configured, for looking only, and closes it again. */
export async function look<T>(
  names: readonly string[],
  file: string,
  action: (looking: Looking) => Promise<T>,
): Promise<T> {
  const config = await loadFile(file, configurationFile);
  const vault = openVault(config);
  const secrets = chosen(names, configuredSecrets(config, vault));
  const { journal, opened, close } = await openJournal(config, vault);
  try {
    return await action({ vault, secrets, journal, ...(opened ? { opened } : {}) });
  } finally {
    await close();
  }
}

function chosen<T extends { readonly policy: SecretPolicy }>(
  names: readonly string[],
  all: readonly T[],
): readonly T[] {
  const known = all.map(({ policy }) => policy.secret);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined)
    return names.length === 0 ? all : all.filter(({ policy }) => names.includes(policy.secret));
  throw new CliError('USAGE', `The secret ${unknown} is not configured.`, {
    hint: `Configured: ${known.join(', ') || 'none'}.`,
  });
}

interface Opened {
  readonly journal: JournalView;
  readonly opened?: OpenJournalView;
  close(): Promise<void>;
}

/** A journal that can't be reached is something to tell of, not the end of the looking. */
async function openJournal(config: Configuration, vault: Vault): Promise<Opened> {
  if (await isUnused(config)) return { journal: emptyJournal, close: async () => undefined };
  try {
    const database = await openJournalDatabase(config, vault);
    const opened = await openJournalView({
      url: database.url,
      vault: vault.url,
      leaseMs: config.fleet.lease,
      clock: systemClock,
    }).catch(async (error: unknown) => {
      await database.close();
      throw error;
    });
    const close = async () => {
      await opened.close();
      await database.close();
    };
    return { journal: opened, opened, close };
  } catch (error) {
    if (!(error instanceof RotatorError)) throw error;
    const away = () => Promise.reject(error);
    return { journal: { openRotation: away, instances: away }, close: async () => undefined };
  }
}

/** The folder of an embedded database that was never used is not made for a look. */
async function isUnused({ journal }: Configuration): Promise<boolean> {
  if (journal && !('data' in journal)) return false;
  const cluster = join(journal?.data ?? defaultDataFolder(), 'postgres', 'PG_VERSION');
  return access(cluster).then(
    () => false,
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );
}
