/** An Azure Functions app whose database login is rotated while it serves. */
import { app } from '@azure/functions';
import { openSecrets } from '@keyturn/client';
import { keyVault } from '@keyturn/client/azure';
import { createPool } from '@keyturn/client/pg';

const { SECRETS_TTL_MS = '60000' } = process.env;

// Once a process, outside the handlers: invocations share the pool, and the vault is asked once a TTL.
const secrets = openSecrets<'orders-db'>({
  vault: keyVault('https://orders.vault.azure.net'), // by the function app's managed identity
  ttlMs: Number(SECRETS_TTL_MS),
});
const pool = createPool(secrets, 'orders-db', { max: 10, connectionTimeoutMillis: 10_000 });
pool.on('error', ({ message }) => console.error(`orders-db: ${message}`));

app.hook.appStart(async () => {
  await secrets.ready(['orders-db'], { withinMs: 10_000 }); // before the first invocation
});

app.hook.appTerminate(async () => {
  await pool.end();
  await secrets.close(); // last: the rotator is told goodbye when nothing is in use any more
});

app.http('orders', {
  methods: ['GET'],
  authLevel: 'function',
  async handler() {
    const { rows } = await pool.query('select id, item from orders order by id');
    return { jsonBody: rows };
  },
});

// It asks the database and not the vault: while the vault is away, the last good value goes on working.
app.http('health', {
  methods: ['GET'],
  authLevel: 'anonymous',
  async handler() {
    const healthy = await pool.query('select 1').then(
      () => true,
      () => false,
    );
    return { status: healthy ? 200 : 503, jsonBody: { healthy } };
  },
});
