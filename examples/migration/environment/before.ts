/** Before: the login comes from the environment, once, and stays for the life of the process. */
import { once } from 'node:events';
import express from 'express';
import { Pool } from 'pg';

const { HOST = '0.0.0.0', PORT = '3000' } = process.env;

const pool = new Pool({ connectionString: process.env.ORDERS_DB, max: 10, connectionTimeoutMillis: 10_000 });
pool.on('error', ({ message }) => console.error(`orders-db: ${message}`));

const app = express();

app.get('/orders', async (_request, response) => {
  const { rows } = await pool.query('select id, item from orders order by id');
  response.json(rows);
});

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
}
