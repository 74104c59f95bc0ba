import { Readable } from 'node:stream';
import {
  AnonymousCredential,
  BlobClient,
  BlobSASPermissions,
  ContainerSASPermissions,
} from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  openBlobService,
  type SecretBlobOptions,
  type SecretBlobService,
} from '../../src/adapters/storage-blob.ts';
import { startStorageAccount, type StorageAccount } from '../servers/storage-account.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let account: StorageAccount;
let scene: Scene;
let blobs: SecretBlobService;
let key1: string;
let key2: string;
let errors: Error[];

beforeAll(async () => {
  account = await startStorageAccount();
  await account.clientWith((await account.keys()).key1).createContainer('box');
});
afterAll(() => account[Symbol.asyncDispose]());

beforeEach(async () => {
  ({ key1, key2 } = await account.keys());
  scene = await openScene(key1);
  errors = [];
});
afterEach(async () => {
  await blobs.close();
  await scene[Symbol.asyncDispose]();
});

async function open(options: SecretBlobOptions = {}): Promise<void> {
  blobs = await openBlobService(scene.secrets, secretName, {
    accountName: account.accountName,
    failed: (error) => errors.push(error),
    ...account.pipelineOptions,
    ...options,
  });
}

const blob = (name: string) => blobs.client.getContainerClient('box').getBlockBlobClient(name);
const write = (name: string, text = 'hello') => blob(name).upload(text, text.length);
const read = async (name: string) => (await blob(name).downloadToBuffer()).toString();
const lastReport = () => scene.rotator.reports.at(-1)?.secrets[0];

test.each(['a key', 'a connection string'])(
  'one client for life signs with the newest of %s: no request fails',
  async (kind) => {
    const valueOf = kind === 'a key' ? (key: string) => key : account.connectionString;
    scene.vault.publish('v1', valueOf(key1));
    await open();
    let count = 0;
    await expectUneventfulRotation(scene, {
      async request() {
        const name = `load-${(count += 1)}`;
        await write(name, name);
        expect(await read(name)).toBe(name);
      },
      newValue: valueOf(key2),
      connectionsOfOld: () => Promise.resolve(0),
      revokeOld: async () => void (await account.regenerate('key1')),
      oldIsRefused: () => account.isRefused(key1),
    });
  },
);

test('clients that were made before a rotation go on after it', async () => {
  await open();
  const container = blobs.client.getContainerClient('box');
  const early = container.getBlockBlobClient('early');
  await early.upload('1', 1);
  scene.publish('v2', key2);
  await scene.reported({ version: 'v2', held: [] });
  await account.regenerate('key1');
  expect((await early.downloadToBuffer()).toString()).toBe('1');
  expect(await container.getBlobClient('early').exists()).toBe(true);
});

test('the old key counts as in use until the last request that it signed is answered', async () => {
  await open();
  const body = new Readable({ read() {} });
  const sending = blob('slow').upload(() => body, 10);
  body.push('01234');
  await soon(() => expect(body.readableFlowing).toBe(true)); // it was signed before
  scene.publish('v2', key2);
  await scene.reported({ version: 'v2', held: ['v1'] });
  await write('quick');
  expect(lastReport()).toMatchObject({ held: ['v1'] });
  body.push('56789');
  body.push(null);
  await sending;
  await scene.reported({ version: 'v2', held: [] });
  expect(await read('slow')).toBe('0123456789');
});

test('an upload of many blocks goes on with the new key in its midst', async () => {
  await open();
  const blockSize = 1024;
  const source = async function* () {
    for (let block = 0; block < 20; block += 1) {
      if (block === 10) {
        scene.publish('v2', key2);
        await scene.reported({ version: 'v2', held: [] });
        await account.regenerate('key1');
      }
      yield Buffer.alloc(blockSize, block);
    }
  };
  await blob('blocks').uploadStream(Readable.from(source()), blockSize, 2);
  expect((await blob('blocks').downloadToBuffer()).length).toBe(20 * blockSize);
});

test('a refused request reads past the cache and is sent again', async () => {
  await open();
  await write('again', 'before');
  scene.vault.publish('v2', key2); // not announced
  await account.regenerate('key1');
  expect(await Promise.all([read('again'), read('again'), write('again-2')])).toHaveLength(3);
  expect(scene.vault.reads).toHaveLength(2);
  await scene.reported({ version: 'v2', held: [], refused: { v1: expect.any(Number) } });
});

test('bytes, and functions that make a stream, are sent again; a stream that was read is not, but the next one works', async () => {
  await open();
  scene.vault.publish('v2', key2);
  await account.regenerate('key1');
  await blob('function').upload(() => Readable.from(['12345']), 5);
  expect(await read('function')).toBe('12345');

  scene.vault.publish('v3', (await account.keys()).key1);
  await account.regenerate('key2');
  const refused = blob('stream').upload(() => Readable.from(['x']), 1); // goes first, so that v3 is known
  await refused;

  scene.vault.publish('v4', (await account.keys()).key2);
  await account.regenerate('key1');
  await expect(blob('stream').upload(Readable.from(['12345']), 5)).rejects.toMatchObject({
    statusCode: 403,
  });
  await blob('stream').upload(Readable.from(['12345']), 5);
  expect(await read('stream')).toBe('12345');
});

test('the first login of all may be refused, too', async () => {
  await scene.secrets.get(secretName);
  scene.vault.publish('v2', key2);
  await account.regenerate('key1');
  await open();
  await write('first');
  expect(await read('first')).toBe('hello');
});

test('a refusal without a newer version is passed on', async () => {
  await open();
  await account.regenerate('key1');
  await expect(write('no')).rejects.toMatchObject({ statusCode: 403 });
  await expect(
    openBlobService(scene.secrets, secretName, { accountName: 'orders', ...account.pipelineOptions }),
  ).rejects.toMatchObject({ statusCode: 403 });
});

test('a new key that is refused signs nothing, and a later one is taken up', async () => {
  await open();
  const other = await account.regenerate('key2');
  scene.publish('v2', key2);
  await scene.reported({ version: 'v1', refused: { v2: expect.any(Number) } });
  await write('still');
  expect(errors[0]).toMatchObject({ statusCode: 403 });
  scene.publish('v3', other);
  await scene.reported({ version: 'v3', held: [] });
});

test.each([
  ['no key', 'just-a-password'],
  ['a SAS', 'BlobEndpoint=https://orders.blob.core.windows.net;SharedAccessSignature=sv=secret-signature'],
  [
    'a key of another account',
    `AccountName=billing;AccountKey=${Buffer.alloc(64, 7).toString('base64')};EndpointSuffix=core.windows.net`,
  ],
])('a new value that is %s keeps the old key', async (_kind, value) => {
  await open();
  scene.publish('v2', value);
  await soon(() => expect(errors[0]).toMatchObject({ code: 'VALUE_FORMAT' }));
  const said = String(errors[0]);
  for (const part of ['just-a-password', 'secret-signature', 'BwcH']) expect(said).not.toContain(part);
  await write('still');
});

test('a SAS keeps its key in use until it expires', async () => {
  await open();
  await write('shared', 'for all');
  const sas = { permissions: BlobSASPermissions.parse('r'), expiresOn: new Date(Date.now() + 3_000) };
  const url = await blobs.sasUrl(blob('shared'), sas);
  scene.publish('v2', key2);
  await scene.reported({ version: 'v2', held: ['v1'] });
  const visitor = new BlobClient(url, new AnonymousCredential(), account.pipelineOptions);
  expect((await visitor.downloadToBuffer()).toString()).toBe('for all');
  await scene.reported({ version: 'v2', held: [] });
  expect(Date.now()).toBeGreaterThanOrEqual(sas.expiresOn.getTime());
});

test('a SAS without a date is refused, and holds nothing', async () => {
  await open();
  const sas = { permissions: BlobSASPermissions.parse('r'), expiresOn: new Date('tomorrow') };
  await expect(blobs.sasUrl(blob('shared'), sas)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  scene.publish('v2', key2);
  await scene.reported({ version: 'v2', held: [] });
});

test('closing does not wait for a SAS', async () => {
  await open();
  const url = await blobs.sasUrl(blobs.client.getContainerClient('box'), {
    permissions: ContainerSASPermissions.parse('l'),
    expiresOn: new Date(Date.now() + 40 * 24 * 3_600_000),
  });
  expect(url).toContain('sig=');
  await blobs.close();
  await expect(write('late')).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a copy within the account needs nothing but its own signature', async () => {
  await open();
  await write('original', 'copied');
  scene.vault.publish('v2', key2);
  await account.regenerate('key1');
  await (await blob('copy').beginCopyFromURL(blob('original').url)).pollUntilDone();
  expect(await read('copy')).toBe('copied');
});

test('what takes a credential of its own borrows the newest key', async () => {
  await open();
  await Promise.all([write('batch-1'), write('batch-2')]);
  scene.vault.publish('v2', key2);
  await account.regenerate('key1');
  await write('now'); // v2 is known
  const urls = [blob('batch-1').url, blob('batch-2').url];
  const batch = blobs.client.getBlobBatchClient();
  const { subResponsesSucceededCount } = await blobs.use((key) => batch.deleteBlobs(urls, key));
  expect(subResponsesSucceededCount).toBe(2);
});

test('a time limit for every try is covered by the signature', async () => {
  await open({ retryOptions: { maxTries: 2, tryTimeoutInMs: 20_000 } });
  await write('limited');
  const names: string[] = [];
  for await (const { name } of blobs.client.getContainerClient('box').listBlobsFlat({ prefix: 'limited' }))
    names.push(name);
  expect(names).toEqual(['limited']);
});

test('what is not about the key is passed on, and refreshes nothing', async () => {
  await open();
  await expect(read('missing')).rejects.toMatchObject({ statusCode: 404 });
  expect(await blob('missing').exists()).toBe(false);
  expect(scene.vault.reads).toHaveLength(1);
  expect(lastReport()).toMatchObject({ refused: {} });
});

test('closing waits for the requests under way', async () => {
  await open();
  const body = new Readable({ read() {} });
  const sending = blob('closing').upload(() => body, 5);
  await soon(() => expect(body.readableFlowing).toBe(true));
  let isClosed = false;
  const closing = blobs.close().then(() => (isClosed = true));
  await expect(write('late')).rejects.toMatchObject({ code: 'CLOSED' });
  expect(isClosed).toBe(false);
  body.push('12345');
  body.push(null);
  await sending;
  await closing;
});
