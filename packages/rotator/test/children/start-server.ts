// Started by embedded-postgres.test.ts, which kills it: starts the server of a folder and says so.
import { startEmbeddedPostgres } from '../../src/journal/embedded-postgres.ts';

const server = await startEmbeddedPostgres({ dataFolder: process.argv[2] ?? '', settings: { fsync: 'off' } });
process.stdout.write(`${server.port}\n`);
setInterval(() => undefined, 60_000);
