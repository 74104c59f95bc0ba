import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localAuth, openService } from '@keyturn/rotator';
import { startEmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { SecretValue } from '@keyturn/source';
import { openSource, openVault } from './stand-ins.ts';

// A service in a process of its own. It says where it is, and publishes a version when it is told to.

const folder = await mkdtemp(join(tmpdir(), 'keyturn-bench-'));
const server = await startEmbeddedPostgres({ dataFolder: folder, endsWithProcess: true });
const secret = 'orders-db';
const vault = openVault([secret]);
const service = await openService({
  journalUrl: server.url(),
  vault,
  secrets: [
    {
      source: openSource(secret),
      policy: {
        secret,
        consumers: [{ name: 'orders-api', ttlMs: 60_000, instances: 1, reports: true }],
        validityMs: 90 * 86_400_000,
        clockSkewMs: 0,
        deadlineMs: 600_000,
        pollMs: 1_000,
        requestTimeoutMs: 1_000,
        retryForMs: 60_000,
      },
    },
  ],
  fleet: { host: '127.0.0.1', port: 0 },
  auth: localAuth(),
  events: { kind: 'key', keys: [new SecretValue('a key for the bench')] },
  watchEveryMs: 100, // so soon is a version seen that nobody told of
  tell: () => undefined,
});
process.send?.({ url: service.url });
process.on('message', (message: 'publish' | 'stop') => void obey(message));

async function obey(message: 'publish' | 'stop'): Promise<void> {
  if (message === 'publish') {
    const expiresOn = new Date(Date.now() + 86_400_000);
    const { version } = await vault.publish(secret, new SecretValue('the next'), { expiresOn, tags: {} });
    process.send?.({ published: version, at: Date.now() });
    return;
  }
  const memoryMb = Math.round(process.memoryUsage().rss / 1_048_576);
  await service.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
  process.send?.({ memoryMb }, () => process.exit(0));
}
