import { SourceError } from '@keyturn/source';
import type { Connection } from './connection.ts';

/** What `INFO` says, by field. */
export type ServerInfo = Readonly<Record<string, string>>;

export async function serverInfo(connection: Connection): Promise<ServerInfo> {
  const text = String(await connection.command('INFO'));
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

/** ACL users belong to one server: what is changed here is not changed at the others. */
export function refuseUnfitServer(info: ServerInfo): void {
  const what =
    info['cluster_enabled'] === '1'
      ? 'a node of a cluster'
      : info['role'] === 'slave'
        ? 'a replica'
        : undefined;
  if (what === undefined) return;
  throw new SourceError(
    'MISCONFIGURED',
    `This Redis is ${what}: the other servers have ACL users of their own.`,
    {
      hint: 'Rotate passwords of a single server; clusters and replicas that applications log in to are not supported.',
    },
  );
}
