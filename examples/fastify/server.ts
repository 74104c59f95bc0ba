/** A Fastify application with a plugin for a database whose login is rotated while it serves. */
import { openSecrets } from '@keyturn/client';
import { keyVault } from '@keyturn/client/azure';
import { createPool, type SecretPool } from '@keyturn/client/pg';
import Fastify, { type FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    readonly pool: SecretPool;
  }
}

interface DatabaseOptions {
  readonly vaultUrl: string;
  readonly ttlMs: number;
}

async function database(fastify: FastifyInstance, { vaultUrl, ttlMs }: DatabaseOptions): Promise<void> {
  const secrets = openSecrets<'orders-db'>({ vault: keyVault(vaultUrl), ttlMs });
  await secrets.ready(['orders-db'], { withinMs: 10_000 }); // without it the application doesn't start
  const pool = createPool(secrets, 'orders-db', { max: 10, connectionTimeoutMillis: 10_000 });
  pool.on('error', ({ message }) => fastify.log.error(`orders-db: ${message}`));
  fastify.decorate('pool', pool);
  // Runs when everything that was under way has been served.
  fastify.addHook('onClose', async () => {
    await pool.end();
    await secrets.close(); // last: the rotator is told goodbye when nothing is in use any more
  });
}
// For the whole application and not for this plugin's children alone; the package fastify-plugin sets the same.
Object.assign(database, { [Symbol.for('skip-override')]: true });

const { HOST = '0.0.0.0', PORT = '3000', SECRETS_TTL_MS = '60000' } = process.env; // no secret among them

const app = Fastify();
await app.register(database, {
  vaultUrl: 'https://orders.vault.azure.net', // by managed identity
  ttlMs: Number(SECRETS_TTL_MS),
});

app.get('/orders', async () => (await app.pool.query('select id, item from orders order by id')).rows);

// It asks the database and not the vault: while the vault is away, the last good value goes on working.
app.get('/health', async (_request, reply) => {
  const healthy = await app.pool.query('select 1').then(
    () => true,
    () => false,
  );
  return reply.code(healthy ? 200 : 503).send({ healthy });
});

// Fastify keeps idle connections for 72 s, and so the closing application: after their last answer they end.
let closing = false;
app.addHook('preClose', async () => void (closing = true));
app.addHook('onSend', async (_request, reply) => void (closing && reply.header('connection', 'close')));

process.once('SIGTERM', () => void app.close()); // takes nothing new, serves what is under way, then onClose

await app.listen({ port: Number(PORT), host: HOST });
console.log(`listening on port ${PORT}`);
