import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAzurite } from '../../src/storage/azurite.ts';
import type { KeyName } from '../../src/storage/storage-accounts.ts';
import { startCloud, type Cloud } from '../entra/cloud.ts';

const here = (file: string) => new URL(file, import.meta.url).pathname;

function clientFor(port: number, account: string, key: string): BlobServiceClient {
  const credential = new StorageSharedKeyCredential(account, key);
  const retryOptions = { maxTries: 1 };
  return new BlobServiceClient(`http://127.0.0.1:${port}/${account}`, credential, { retryOptions });
}

describe('the keys that ARM tells', () => {
  const arm = 'https://management.azure.com';
  const path = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/orders';
  let cloud: Cloud;
  let token: string;
  beforeAll(async () => {
    const roles = [{ role: 'Storage Account Key Operator Service Role' as const }];
    cloud = await startCloud({
      identities: [{ name: 'rotator', roles }],
      storageAccounts: [{ name: 'orders' }, { name: 'billing' }],
    });
    token = await cloud.tokenOf('rotator', arm);
  });
  afterAll(() => cloud[Symbol.asyncDispose]());

  const keys = async (operation: string, body = '{}'): Promise<Record<KeyName, string>> => {
    const url = `${arm}${path}/${operation}?api-version=2025-01-01`;
    const { json } = await cloud.call(url, { method: 'POST', token, body });
    const list = json['keys'] as unknown as readonly { keyName: KeyName; value: string }[];
    return Object.fromEntries(list.map(({ keyName, value }) => [keyName, value])) as Record<KeyName, string>;
  };

  const opens = async (key: string, account = 'orders'): Promise<boolean> => {
    try {
      await clientFor(cloud.azurite?.port ?? 0, account, key).getProperties();
      return true;
    } catch (error) {
      expect(error).toMatchObject({ statusCode: 403 });
      return false;
    }
  };

  test('both open the account, and no other one', async () => {
    const { key1, key2 } = await keys('listKeys');
    expect([await opens(key1), await opens(key2)]).toEqual([true, true]);
    expect(await opens(key1, 'billing')).toBe(false);
  });

  test('a regenerated one opens at once, its former value no more, and the other goes on', async () => {
    for (const keyName of ['key1', 'key2', 'key1'] as const) {
      const before = await keys('listKeys');
      const after = await keys('regenerateKey', JSON.stringify({ keyName }));
      const other = keyName === 'key1' ? 'key2' : 'key1';
      expect(await opens(before[keyName])).toBe(false);
      expect([await opens(after[keyName]), await opens(before[other])]).toEqual([true, true]);
    }
  });

  test('Azurite’s own well-known account isn’t there', async () => {
    const wellKnown =
      'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
    const opening = clientFor(cloud.azurite?.port ?? 0, 'devstoreaccount1', wellKnown).getProperties();
    await expect(opening).rejects.toMatchObject({ statusCode: 404 });
  });

  test('unmodified code reaches its blobs under their real name', async () => {
    const { key1 } = await keys('listKeys');
    const run = (KEY: string) => cloud.run(here('use-blobs.mjs'), { ACCOUNT: 'orders', KEY });
    expect(await run(key1)).toBe('3000000 true');
    await keys('regenerateKey', '{"keyName":"key1"}');
    expect(await run(key1)).toBe('403');
    const container = clientFor(cloud.azurite?.port ?? 0, 'orders', (await keys('listKeys')).key1);
    const blobs = container.getContainerClient('from-an-app').getBlockBlobClient('a folder/ü & 1+1.txt');
    expect(await blobs.exists()).toBe(true);
  });
});

describe('the process', () => {
  test('starting and closing leaves nothing behind, and it ends by itself', () => {
    const output = execFileSync(process.execPath, [here('start-and-close.mjs')], {
      encoding: 'utf8',
      timeout: 30_000,
      // Not this process's: Azurite may have left something there.
      env: {},
    });
    // Nothing but this line is printed.
    const { status, before, after } = JSON.parse(output) as Record<'status' | 'before' | 'after', unknown>;
    expect(status).toBe(403);
    expect(after).toEqual(before);
  });

  test('two services in one process keep their blobs and keys apart', async () => {
    const key = Buffer.alloc(64, 1).toString('base64');
    const one = await startAzurite({ keysOf: () => [key] });
    const other = await startAzurite({ keysOf: () => [Buffer.alloc(64, 2).toString('base64')] });
    await clientFor(one.port, 'orders', key).createContainer('box');
    const opening = clientFor(other.port, 'orders', key).getContainerClient('box').exists();
    await expect(opening).rejects.toMatchObject({ statusCode: 403 });
    await Promise.all([one.close(), other.close()]);
  });

  test('closing waits for no client, and keeps no blob in memory', async () => {
    const key = Buffer.alloc(64, 1).toString('base64');
    const azurite = await startAzurite({ keysOf: () => [key] });
    const box = clientFor(azurite.port, 'orders', key).getContainerClient('box');
    await box.create();
    await box.getBlockBlobClient('b').upload('kept', 4);
    const slow = connect({ port: azurite.port, host: '127.0.0.1', allowHalfOpen: true });
    slow.on('error', () => {});
    slow.write('PUT /orders/box/b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nhalf');
    await once(slow, 'connect');
    const cut = once(slow, 'close');
    await azurite.close();
    slow.destroy();
    await cut;
    const store = createRequire(import.meta.url)('azurite/dist/src/common/persistence/MemoryExtentStore') as {
      SharedChunkStore: { totalSize(): number };
    };
    expect(store.SharedChunkStore.totalSize()).toBe(0);
  });

  test('without Azurite the error says what to install', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'without-azurite-'));
    await mkdir(join(folder, 'storage'));
    await copyFile(here('../../src/emulator-error.ts'), join(folder, 'emulator-error.ts'));
    await copyFile(here('../../src/storage/azurite.ts'), join(folder, 'storage/azurite.ts'));
    const script = join(folder, 'start.mjs');
    await writeFile(
      script,
      `import { startAzurite } from './storage/azurite.ts';
       await startAzurite({ keysOf: () => undefined }).then(
         (azurite) => azurite.close(),
         (error) => console.log(error.code, error.message),
       );`,
    );
    const run = () => execFileSync(process.execPath, [script], { encoding: 'utf8', timeout: 30_000 });
    expect(run()).toContain('AZURITE_MISSING Storage accounts need Azurite. Install it: npm install');
    await mkdir(join(folder, 'node_modules'));
    await symlink(here('../../../../node_modules/azurite'), join(folder, 'node_modules/azurite'));
    expect(run()).toBe('');
    await rm(folder, { recursive: true });
  });
});

test('blobs in a data folder are there after a restart', async () => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'azurite-test-'));
  const key = Buffer.alloc(64, 1).toString('base64');
  const start = async () => {
    const azurite = await startAzurite({ keysOf: () => [key], dataFolder });
    const blob = clientFor(azurite.port, 'orders', key).getContainerClient('box').getBlockBlobClient('b');
    return { azurite, blob };
  };
  const first = await start();
  await clientFor(first.azurite.port, 'orders', key).createContainer('box');
  await first.blob.upload('kept', 4);
  await first.azurite.close();

  const second = await start();
  expect((await second.blob.downloadToBuffer()).toString()).toBe('kept');
  await second.azurite.close();
  await rm(dataFolder, { recursive: true });
});
