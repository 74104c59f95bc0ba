import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmulator, type Emulator, type EmulatorOptions, type NewRoleAssignment } from '../src/index.ts';
import { collect } from './collect.ts';
import { startReceiver } from './events/receiver.ts';

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

test('roles of a configured identity stay as they were changed, until its configuration changes', async () => {
  const identity = { name: 'app', roles: [{ role: 'Key Vault Reader' }] } as const;
  const startWith = (roles: readonly NewRoleAssignment[]) =>
    startEmulator({
      dataFolder,
      vaults: [{ name: 'local', secrets: [{ name: 'seed', value: 'first' }] }],
      identities: [{ ...identity, roles: [...roles] }],
    });
  const read = async (emulator: Emulator) =>
    new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions).getSecret('seed');
  {
    await using emulator = await startWith(identity.roles);
    emulator.identities.assign('app', { role: 'Key Vault Secrets User' });
  }
  {
    await using emulator = await startWith(identity.roles);
    expect((await read(emulator)).value).toBe('first');
  }
  await using emulator = await startWith([{ role: 'Key Vault Reader', scope: 'local' }]);
  await expect(read(emulator)).rejects.toMatchObject({ statusCode: 403 });
});

test('the default identity is one of this start, not one that is kept from a former start', async () => {
  await restart();
  await vault?.close();
  const reader = { name: 'reader', systemAssigned: true };
  vault = await startEmulator({ dataFolder, identities: [reader] });
  expect(vault.environment['IDENTITY_HEADER']).toBe(
    vault.identities.get('reader').environment['IDENTITY_HEADER'],
  );
  const resource = 'api-version=2018-02-01&resource=https://vault.azure.net';
  const answer = await fetch(`${vault.imdsUrl}metadata/identity/oauth2/token?${resource}`, {
    headers: { Metadata: 'true' },
  });
  expect(await answer.json()).toMatchObject({ client_id: vault.identities.get('reader').clientId });
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

test('a vault that isn’t configured for once keeps its secrets for the next time', async () => {
  const inVaults = async <T>(
    vaults: EmulatorOptions['vaults'],
    use: (client: SecretClient) => Promise<T>,
  ): Promise<T> => {
    await using emulator = await startEmulator({ dataFolder, ...(vaults === undefined ? {} : { vaults }) });
    return await use(new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions));
  };
  await inVaults([{ name: 'orders' }], (client) => client.setSecret('key', 'kept'));
  await inVaults(undefined, (client) => client.setSecret('key', 'other'));
  expect((await inVaults([{ name: 'orders' }], (client) => client.getSecret('key'))).value).toBe('kept');
});

test('two vaults of one name are refused', async () => {
  await expect(
    startEmulator({ dataFolder, vaults: [{ name: 'orders' }, { name: 'Orders' }] }),
  ).rejects.toMatchObject({ code: 'OPTIONS_INVALID', message: expect.stringContaining('There is another') });
});

test('files are named in full, for children that work in another folder', async () => {
  await using emulator = await startEmulator({ dataFolder: relative(process.cwd(), dataFolder) });
  expect(emulator.environment['NODE_EXTRA_CA_CERTS']).toBe(join(dataFolder, 'ca.pem'));
});

test('a line of the audit log that a crash cut off stays by itself', async () => {
  await appendFile(join(dataFolder, 'audit.jsonl'), '{"time":"20');
  const { client } = await restart();
  await client.setSecret('key', 'one');
  const lines = (await readFile(join(dataFolder, 'audit.jsonl'), 'utf8')).trim().split('\n');
  expect(lines[0]).toBe('{"time":"20');
  expect(lines.slice(1).map((line) => JSON.parse(line) as unknown)).toHaveLength(2);
});

test('an audit log that can’t be opened is said to be', async () => {
  await mkdir(join(dataFolder, 'audit.jsonl'));
  await expect(restart()).rejects.toMatchObject({
    code: 'DATA_FOLDER_UNUSABLE',
    message: expect.stringContaining('audit.jsonl'),
  });
});

test('a full disk ends no process: calls are refused, and what was acknowledged is kept', async () => {
  const source = fileURLToPath(new URL('../src/index.ts', import.meta.url));
  await using receiver = await startReceiver();
  const script = `
    const { startEmulator } = await import(${JSON.stringify(source)});
    const { SecretClient } = await import('@azure/keyvault-secrets');
    const hints = [];
    const onHint = (line) => hints.push(line);
    const vault = await startEmulator({ dataFolder: ${JSON.stringify(dataFolder)}, onHint });
    await vault.subscriptions.add({ endpoint: ${JSON.stringify(receiver.url)} });
    const options = { ...vault.clientOptions, retryOptions: { maxRetries: 0 } };
    const client = new SecretClient(vault.vaultUrl, vault.credential, options);
    const expiresOn = new Date(Date.now() + 86_400_000);
    const statuses = {};
    const versions = [];
    for (let number = 0; number < 250; number += 1)
      await client.setSecret('key-' + number, 'v'.repeat(2_000), { expiresOn }).then(
        ({ properties }) => versions.push(properties.version),
        ({ statusCode }) => (statuses[statusCode] = (statuses[statusCode] ?? 0) + 1),
      );
    await vault.subscriptions.settled();
    const first = (await client.getSecret('key-0')).value.length;
    await vault.close();
    console.log(JSON.stringify({ statuses: Object.keys(statuses), versions, first, hints }));
  `;
  // No file may become larger than this, which is how a full disk looks to who writes.
  const limited = [
    '-c',
    'ulimit -f 600; exec "$0" "$@"',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ];
  const child = spawn('sh', limited, {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const [line = '{}'] = await collect(createInterface(child.stdout));
  expect(await exit).toEqual([0, null]);
  expect(receiver.notifications).not.toEqual([]);
  const { statuses, versions, first, hints } = JSON.parse(line) as Record<string, string[]>;
  expect({ statuses, first }).toEqual({ statuses: ['500'], first: 2_000 });
  expect(hints).toContainEqual(expect.stringMatching(/failed to serve .*changes\.jsonl can't be written to/));
  const kept = await readFile(join(dataFolder, 'changes.jsonl'), 'utf8');
  expect(versions?.filter((version) => !kept.includes(version))).toEqual([]);
});
