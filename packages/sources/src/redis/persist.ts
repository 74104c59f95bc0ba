import { SourceError } from '@keyturn/source';
import type { Connection } from './connection.ts';

/** Where the server keeps its ACL users over a restart; undefined if nowhere. */
export type Keeper = 'aclfile' | 'config file';

/**
 * Has the server write its ACL users down: after a restart a password that was revoked would work again, and one that
 * was published would not. A server that keeps none over a restart has nothing to write; `inspect` warns of it.
 */
export async function persist(connection: Connection): Promise<void> {
  const saved = await connection
    .command('ACL', 'SAVE')
    .catch(unlessItSays(/not configured to use an ACL file/));
  if (saved === 'OK') return;
  await connection.command('CONFIG', 'REWRITE').catch(unlessItSays(/running without a config file/));
}

const unlessItSays =
  (expected: RegExp) =>
  (error: unknown): undefined => {
    if (!(error instanceof SourceError)) throw error;
    if (expected.test(error.message)) return undefined;
    if (error.code !== 'UNEXPECTED') throw error;
    throw new SourceError('UNEXPECTED', `Redis did not keep its ACL users for a restart: ${error.message}`, {
      cause: error.cause,
      hint: 'See that the server may write its aclfile or config file and their folder, and run again.',
    });
  };

export async function keeper(
  connection: Connection,
  info: Readonly<Record<string, string>>,
): Promise<Keeper | undefined> {
  const { aclfile = '' } = (await connection.command('CONFIG', 'GET', 'aclfile')) as { aclfile?: string };
  if (aclfile !== '') return 'aclfile';
  return (info['config_file'] ?? '') === '' ? undefined : 'config file';
}
