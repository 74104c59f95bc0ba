import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmulator } from '@keyturn/emulator';

// The least that stands in for a vault: no token, no routing, one answer to everything. The keys for TLS are
// taken from an emulator that was started for them.

const folder = await mkdtemp(join(tmpdir(), 'keyturn-bench-'));
const emulator = await startEmulator({ dataFolder: folder });
const { authority } = JSON.parse(await readFile(join(folder, 'keys.json'), 'utf8')) as {
  authority: { certificate: string; privateKey: string };
};
await emulator.close();

const answer = JSON.stringify({
  value: 'postgres://orders_a:0123456789abcdef@db/orders',
  id: 'https://local.vault.azure.net/secrets/key/0123456789abcdef0123456789abcdef',
  attributes: { enabled: true, created: 1_700_000_000, updated: 1_700_000_000 },
});
const server = createServer(
  { cert: authority.certificate, key: authority.privateKey },
  (incoming, outgoing) => {
    incoming.resume();
    incoming.once('end', () => outgoing.writeHead(200, { 'Content-Type': 'application/json' }).end(answer));
  },
);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const vaultUrl = 'https://local.vault.azure.net';
  process.stdout.write(
    `${JSON.stringify({ vaultUrl, caFile: join(folder, 'ca.pem'), port: String(port) })}\n`,
  );
});
process.once('SIGTERM', () => {
  void rm(folder, { recursive: true }).then(() => process.exit());
});
