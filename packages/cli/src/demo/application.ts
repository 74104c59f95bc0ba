/**
 * One instance of an application in the demo: a web server that logs in to PostgreSQL and queries it for every
 * request. How it comes by the password is all that the three contenders differ in.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultAzureCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { openSecrets } from '@keyturn/client';
import { keyVault } from '@keyturn/client/azure';
import { createPool } from '@keyturn/client/pg';
import { Client } from 'pg';
import type { ContenderName } from './course.ts';

type Query = (sql: string) => Promise<unknown>;

const instance = setting('INSTANCE');
const sql = 'select id, item from orders order by id limit 1';

const contenders: Record<ContenderName, () => Query> = {
  'environment variable': () => {
    const url = setting('DATABASE_URL');
    return (text) => logInAndQuery(url, text);
  },

  'cache, no overlap': () => {
    const client = new SecretClient(setting('VAULT_URL'), new DefaultAzureCredential());
    const ttlMs = Number(setting('TTL_MS'));
    const cache = new Map<string, { value: string; expiresAt: number }>();
    const getSecret = async (name: string) => {
      const cached = cache.get(name);
      if (cached && cached.expiresAt > Date.now()) return cached.value;
      const { value = '' } = await client.getSecret(name);
      cache.set(name, { value, expiresAt: Date.now() + ttlMs });
      return value;
    };
    return async (text) => logInAndQuery(await getSecret(setting('SECRET')), text);
  },

  keyturn: () => {
    const secrets = openSecrets({
      vault: keyVault(setting('VAULT_URL')),
      ttlMs: Number(setting('TTL_MS')),
      rotator: { url: setting('ROTATOR_URL'), consumer: setting('CONSUMER'), instance },
    });
    // Every connection serves one request, so that this contender logs in as often as the others.
    const pool = createPool(secrets, setting('SECRET'), { max: 4, maxUses: 1, application_name: instance });
    return (text) => pool.query(text);
  },
};

async function logInAndQuery(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url, application_name: instance });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(text);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set.`);
  return value;
}

const query = contenders[setting('CONTENDER') as ContenderName]();
const server = createServer((_request, response) => {
  query(sql).then(
    () => response.writeHead(200).end('served\n'),
    (error: { code?: string }) => response.writeHead(500).end(`failed ${error.code ?? ''}\n`),
  );
});
process.stdin.resume().on('end', () => process.exit()); // whoever started it is gone
await ready();
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});

/** An instance takes requests only once it can serve them, as behind any load balancer. */
async function ready(): Promise<void> {
  const giveUpAt = Date.now() + 30_000;
  for (;;) {
    try {
      await query(sql);
      return;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await sleep(250);
    }
  }
}
