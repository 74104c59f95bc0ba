import { SourceError } from '@keyturn/source';
import type { Connection } from './connection.ts';
import { rightOf, rotatorCommands } from './setup.ts';

/** The rights that Keyturn's own login lacks; `unknown` where the server is older than 7 or does not let it ask. */
export async function lackingRights(connection: Connection): Promise<readonly string[] | 'unknown'> {
  const lacking: string[] = [];
  for (const words of rotatorCommands) {
    const answer = await connection
      .command('ACL', 'DRYRUN', connection.rotator, ...words)
      .catch((error: unknown) => {
        if (error instanceof SourceError && error.code !== 'UNREACHABLE') return undefined;
        throw error;
      });
    if (answer === undefined) return 'unknown';
    if (answer !== 'OK') lacking.push(rightOf(words));
  }
  return lacking;
}

/** Throws `FORBIDDEN` if a right is known to be lacking; its hint is the one command that gives them all. */
export async function demandRights(connection: Connection): Promise<void> {
  const lacking = await lackingRights(connection);
  if (lacking === 'unknown' || lacking.length === 0) return;
  const { says, hint } = lackingRight(connection.rotator, lacking);
  throw new SourceError('FORBIDDEN', says, { hint });
}

export function lackingRight(rotator: string, rights: readonly string[]): { says: string; hint: string } {
  return {
    says: `Keyturn's ACL user ${rotator} may not use ${rights.join(', ')}.`,
    hint: `ACL SETUSER ${rotator} ${rights.map((right) => `+${right}`).join(' ')}`,
  };
}
