/** An Express application whose database login is rotated while it serves. */
import { once } from 'node:events';
import { openSecrets } from '@keyturn/client';
import { keyVault } from '@keyturn/client/azure';
import { createPool } from '@keyturn/client/pg';
import express from 'express';

const { HOST = '0.0.0.0', PORT = '3000', SECRETS_TTL_MS = '60000' } = process.env; // no secret among them

const secrets = openSecrets<'orders-db'>({
  vault: keyVault('https://orders.vault.azure.net'), // by managed identity
  ttlMs: Number(SECRETS_TTL_MS),
});
await secrets.ready(['orders-db'], { withinMs: 10_000 }); // without it the application doesn't start
const pool = createPool(secrets, 'orders-db', { max: 10, connectionTimeoutMillis: 10_000 });
pool.on('error', ({ message }) => console.error(`orders-db: ${message}`));

const app = express();

app.get('/orders', async (_request, response) => {
  const { rows } = await pool.query('select id, item from orders order by id');
  response.json(rows);
});

// It asks the database and not the vault: while the vault is away, the last good value goes on working.
app.get('/health', async (_request, response) => {
  const healthy = await pool.query('select 1').then(
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
  await pool.end();
  await secrets.close(); // last: the rotator is told goodbye when nothing is in use any more
}
