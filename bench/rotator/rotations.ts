import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRotator } from '@keyturn/rotator';
import { startEmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { Client } from 'pg';
import { openSource, openVault } from './stand-ins.ts';

// `rotations.ts COUNT`: rotations of so many secrets, all asked for at once, in a process of its own.

const count = Number(process.argv[2] ?? 1_000);
const folder = await mkdtemp(join(tmpdir(), 'keyturn-bench-'));
const server = await startEmbeddedPostgres({ dataFolder: folder, endsWithProcess: true });
const database = new Client({ connectionString: server.url() });
await database.connect();
const sizeOf = async (): Promise<number> => {
  const { rows } = await database.query<{ size: string }>(
    `select coalesce(sum(pg_total_relation_size(oid)), 0) as size from pg_class
     where relkind = 'r' and relnamespace in (select oid from pg_namespace where nspname in ('dbos', 'keyturn'))`,
  );
  return Number(rows[0]?.size);
};

const names = Array.from({ length: count }, (_, number) => `secret-${number}`);
const rotator = await openRotator({
  journalUrl: server.url(),
  vault: openVault(names),
  secrets: names.map((secret) => ({
    source: openSource(secret),
    policy: {
      secret,
      consumers: [],
      validityMs: 90 * 86_400_000,
      clockSkewMs: 0,
      deadlineMs: 600_000,
      pollMs: 100,
      requestTimeoutMs: 1_000,
      retryForMs: 60_000,
    },
  })),
  fleet: { host: '127.0.0.1', port: 0 },
});

const before = await sizeOf();
const began = performance.now();
let closed = 0;
await Promise.all(
  names.map(async (secret) => {
    const { outcome } = await rotator.operator.rotate({ secret });
    if (outcome === 'closed') closed += 1;
  }),
);
const seconds = (performance.now() - began) / 1_000;
const result = {
  rotations: count,
  closed,
  perSecond: Number((count / seconds).toFixed(1)),
  journalBytesEach: Math.round(((await sizeOf()) - before) / count),
  memoryMb: Math.round(process.memoryUsage().rss / 1_048_576),
};
await rotator.close();
await database.end();
await server.stop();
await rm(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
