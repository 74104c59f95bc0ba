import cluster from 'node:cluster';
import { once } from 'node:events';
import { isMainThread, Worker } from 'node:worker_threads';
import { openSecrets } from '../../src/index.ts';
import { fakeVault } from '../fakes/fake-vault.ts';

// An application in two threads or two processes, which ends by itself: `two-instances.ts workers|cluster URL`.

const [kind, url = ''] = process.argv.slice(2);

async function serve(): Promise<void> {
  const secrets = openSecrets({ vault: fakeVault('v1'), rotator: { url, consumer: 'orders-api' } });
  const secret = await secrets.get('db');
  process.stdout.write(`${secret.version}\n`);
  await secrets.close();
  if (cluster.isWorker) process.disconnect();
}

if (kind === 'workers' && isMainThread) {
  const threads = [1, 2].map(() => new Worker(new URL(import.meta.url), { argv: [kind, url] }));
  await Promise.all(threads.map((thread) => once(thread, 'exit')));
} else if (kind === 'cluster' && cluster.isPrimary) {
  const processes = [1, 2].map(() => cluster.fork());
  await Promise.all(processes.map((child) => once(child, 'exit')));
} else {
  await serve();
}
