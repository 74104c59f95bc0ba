/** Before: a cache asks the vault again after a TTL, and the pool is replaced when the answer has changed. */
import { once } from 'node:events';
import { DefaultAzureCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import express from 'express';
import { Pool } from 'pg';

const { HOST = '0.0.0.0', PORT = '3000', SECRETS_TTL_MS = '60000' } = process.env; // no secret among them

const vault = new SecretClient('https://orders.vault.azure.net', new DefaultAzureCredential());
const known = new Map<string, { readonly text: string; readonly freshUntil: number }>();

async function readSecret(name: string): Promise<string> {
  const last = known.get(name);
  if (last && Date.now() < last.freshUntil) return last.text;
  const { value: text = '' } = await vault.getSecret(name);
  known.set(name, { text, freshUntil: Date.now() + Number(SECRETS_TTL_MS) });
  return text;
}

let open: { readonly url: string; readonly pool: Pool } | undefined;

async function currentPool(): Promise<Pool> {
  const url = await readSecret('orders-db');
  if (open?.url === url) return open.pool;
  const outdated = open?.pool;
  const pool = new Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 10_000 });
  pool.on('error', ({ message }) => console.error(`orders-db: ${message}`));
  open = { url, pool };
  void outdated?.end(); // whoever waits for one of its connections waits in vain
  return pool;
}

const app = express();

app.get('/orders', async (_request, response) => {
  const { rows } = await (await currentPool()).query('select id, item from orders order by id');
  response.json(rows);
});

app.get('/health', async (_request, response) => {
  const healthy = await currentPool()
    .then((pool) => pool.query('select 1'))
    .then(
      () => true,
      () => false,
    );
  response.status(healthy ? 200 : 503).json({ healthy });
});

const server = app.listen(Number(PORT), HOST, (error) => {
  if (error) throw error;
  console.log(`listening on port ${PORT}`);
});

process.once('SIGTERM', () => void close());

async function close(): Promise<void> {
  server.close(); // takes no new connections, serves what is under way
  // Otherwise busy connections that are kept alive would keep it from closing.
  server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
  await once(server, 'close');
  await open?.pool.end();
}
