import { format, inspect } from 'node:util';
import { expect, test } from 'vitest';
import { openSecrets } from '../src/index.ts';
import { createPool } from '../src/adapters/pg.ts';
import { fakeVault } from './fakes/fake-vault.ts';

const version = '1f3c8a00c4d24b1e9b0f5a6b7c8d9e0f';
const printed = '[secret orders-db@1f3c…]';

async function secret() {
  const vault = fakeVault(version);
  vault.publish(version, 'hunter2-postgres');
  const secrets = openSecrets({ vault });
  return { secrets, secret: await secrets.get('orders-db') };
}

test('a secret prints as its name and the start of its version', async () => {
  const { secret: got } = await secret();
  expect(got.toString()).toBe(printed);
  expect(JSON.stringify({ got })).toBe(`{"got":"${printed}"}`);
  expect(inspect({ got }, { depth: 9, showHidden: true })).toContain(printed);
  expect(Object.assign({}, got)).not.toHaveProperty('value');
  expect(got.reveal()).toBe('hunter2-postgres');
});

test('nothing that an application can print holds a value', async () => {
  const { secrets, secret: got } = await secret();
  const pool = createPool(secrets, 'orders-db');
  const failure: unknown = await pool.query('select 1').catch((error: unknown) => error);
  const things = [got, secrets, secrets.handle('orders-db'), pool, failure];
  const logged = format(...things, '%s %j %o', got, got, got); // what console.log prints
  const all = logged + inspect(things, { depth: 9, showHidden: true, getters: true });
  expect(all).not.toContain('hunter2');
  expect(failure).toMatchObject({ code: 'VALUE_FORMAT' });
  expect((failure as Error).message).toContain(printed);
});
