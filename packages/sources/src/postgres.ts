import type { Source } from '@keyturn/source';
import { asRotator } from './postgres/connection.ts';
import { inspect } from './postgres/inspect.ts';
import { issue } from './postgres/issue.ts';
import { checkOptions, type PostgresOptions } from './postgres/options.ts';
import { prove } from './postgres/prove.ts';
import { revoke } from './postgres/revoke.ts';
import { lookAtRoles } from './postgres/roles.ts';
import { usage } from './postgres/usage.ts';

export type { ConnectionTemplate, PostgresOptions } from './postgres/options.ts';
export { setupStatements, type SetupOptions } from './postgres/setup.ts';

/**
 * A PostgreSQL database (16 or newer) whose application logs in with one of two roles in turn. Both act as one
 * owner role, so that objects and grants are shared. A credential's ref is its role's name with a generation that
 * is new for each rotation: `orders_b#3f9a02c41d7e`; a role that Keyturn never issued into is just its name.
 *
 * Throws a `SourceError` with code `MISCONFIGURED` at once if the roles' names can't work. What the rotator role
 * needs is in `setupStatements`; a right that it lacks is a `FORBIDDEN` whose hint is the SQL that gives it.
 *
 * @example
 * const source = postgres({
 *   roles: ['orders_a', 'orders_b'],
 *   owner: 'orders_owner',
 *   admin: async () => ({ connectionString: await readFromVault('orders-db-rotator') }),
 *   template: { host: 'db.internal', port: 5432, database: 'orders', parameters: { sslmode: 'verify-full' } },
 *   format: 'url',
 *   probe: 'select id from orders limit 1',
 * });
 * const { ref, value } = await source.issue('orders-db@1f3c', 'orders_a');
 * await source.prove(value);
 */
export function postgres(options: PostgresOptions): Source {
  checkOptions(options);
  return {
    kind: 'postgres',
    issue: (rotation, current) =>
      asRotator(options, (connection) => issue(connection, options, { rotation, current })),
    prove: (value) => prove(options, value),
    usage: (ref) => asRotator(options, (connection) => usage(connection, options, ref)),
    revoke: (ref) => asRotator(options, (connection) => revoke(connection, options, ref)),
    list: () =>
      asRotator(options, async (connection) =>
        (await lookAtRoles(connection, options.roles))
          .filter(({ canLogin }) => canLogin)
          .map(({ ref }) => ref),
      ),
    inspect: (about) => asRotator(options, (connection) => inspect(connection, options, about)),
  };
}
