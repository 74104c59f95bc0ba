import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmulator, type Emulator } from '../src/index.ts';
import { collect } from './collect.ts';

let dataFolder: string;
let vault: Emulator | undefined;

beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'persistence-test-'));
});
afterEach(async () => {
  await vault?.close();
  vault = undefined;
  await rm(dataFolder, { recursive: true });
});

async function restart(): Promise<{ emulator: Emulator; client: SecretClient }> {
  await vault?.close();
  vault = await startEmulator({
    dataFolder,
    vaults: [{ name: 'local', secrets: [{ name: 'seed', value: 'first' }] }],
  });
  return { emulator: vault, client: new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions) };
}

test('secrets, deletions, roles and the clock survive a restart', async () => {
  const before = await restart();
  await before.client.setSecret('key', 'one', { tags: { a: '1' }, contentType: 'text/plain' });
  const second = await before.client.setSecret('key', 'two 🔑');
  await before.client.updateSecretProperties('key', second.properties.version ?? '', { tags: { b: '2' } });
  await before.client.setSecret('gone', 'x');
  await (await before.client.beginDeleteSecret('gone', { intervalInMs: 1 })).pollUntilDone();
  before.emulator.identities.add({ name: 'late', roles: [{ role: 'Key Vault Secrets User' }] });
  await before.emulator.clock.advance(30 * 86_400_000);

  const { emulator, client } = await restart();
  const current = await client.getSecret('key');
  expect(current).toMatchObject({
    value: 'two 🔑',
    properties: { version: second.properties.version, tags: { b: '2' } },
  });
  expect(await collect(client.listPropertiesOfSecretVersions('key'))).toHaveLength(2);
  expect((await collect(client.listDeletedSecrets())).map(({ name }) => name)).toEqual(['gone']);
  expect(emulator.clock.now().getTime()).toBeGreaterThan(Date.now() + 29 * 86_400_000);
  const late = new SecretClient(
    emulator.vaultUrl,
    emulator.identities.get('late').credential,
    emulator.clientOptions,
  );
  expect((await late.getSecret('key')).value).toBe('two 🔑');
});

test('an initial secret is set once, and not again over what came later', async () => {
  const { client } = await restart();
  await client.setSecret('seed', 'second');
  expect((await (await restart()).client.getSecret('seed')).value).toBe('second');
  await (await (await restart()).client.beginDeleteSecret('seed', { intervalInMs: 1 })).pollUntilDone();
  await expect((await restart()).client.getSecret('seed')).rejects.toMatchObject({ statusCode: 404 });
});

test('every call is in the audit file, and no value is', async () => {
  const { client } = await restart();
  await client.setSecret('key', 'very-secret');
  const lines = (await readFile(join(dataFolder, 'audit.jsonl'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { operationName: string }).operationName)).toEqual([
    'Authentication',
    'SecretSet',
  ]);
  expect(lines.join()).not.toContain('very-secret');
});

test('nothing that was acknowledged is lost when it is killed in the middle of writing', async () => {
  const source = fileURLToPath(new URL('../src/index.ts', import.meta.url));
  const script = `
    const { startEmulator } = await import(${JSON.stringify(source)});
    const { SecretClient } = await import('@azure/keyvault-secrets');
    const vault = await startEmulator({ dataFolder: ${JSON.stringify(dataFolder)} });
    const client = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
    for (let number = 0; ; number += 1)
      console.log((await client.setSecret('key-' + (number % 7), 'value ' + number)).properties.version + ' ' + number);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: { version: string; number: number }[] = [];
  for await (const line of createInterface(child.stdout)) {
    const [version = '', number] = line.split(' ');
    acknowledged.push({ version, number: Number(number) });
    if (acknowledged.length === 100) child.kill('SIGKILL');
  }
  if (child.signalCode === null) await once(child, 'exit');

  const { client } = await restart();
  for (const { version, number } of acknowledged)
    expect((await client.getSecret(`key-${number % 7}`, { version })).value).toBe(`value ${number}`);
});
