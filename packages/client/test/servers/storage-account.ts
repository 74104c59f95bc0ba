import { request } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import {
  BlobServiceClient,
  StorageSharedKeyCredential,
  type StoragePipelineOptions,
} from '@azure/storage-blob';
import { startEmulator } from '@keyturn/emulator';

export type KeyName = 'key1' | 'key2';

/** The storage account `orders` on a real Azurite, its keys managed through Azure Resource Manager. */
export interface StorageAccount extends AsyncDisposable {
  readonly accountName: string;
  /** So that clients of this very process reach it under its real name. */
  readonly pipelineOptions: StoragePipelineOptions;
  keys(): Promise<Record<KeyName, string>>;
  /** Replaces a key; the former one is refused from here on. Returns the new one. */
  regenerate(keyName: KeyName): Promise<string>;
  connectionString(key: string): string;
  /** A client of the plain SDK that signs with this key. */
  clientWith(key: string): BlobServiceClient;
  isRefused(key: string): Promise<boolean>;
}

const arm = 'https://management.azure.com';
const accountPath = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/orders';

export async function startStorageAccount(): Promise<StorageAccount> {
  const emulator = await startEmulator({
    identities: [{ name: 'rotator', roles: [{ role: 'Storage Account Key Operator Service Role' }] }],
    storageAccounts: [{ name: 'orders' }],
  });
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, emulator.ca]);
  const { token } = await emulator.credential.getToken(`${arm}/.default`);

  const call = (operation: string, body: object): Promise<Record<KeyName, string>> =>
    new Promise((resolve, reject) => {
      const url = `${arm}${accountPath}/${operation}?api-version=2025-01-01`;
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
      const sent = request(
        url,
        { method: 'POST', headers, agent: emulator.clientOptions.agent },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          answer.on('end', () => {
            if (answer.statusCode !== 200)
              return reject(new Error(`${operation}: ${answer.statusCode} ${text}`));
            const { keys } = JSON.parse(text) as { keys: { keyName: KeyName; value: string }[] };
            resolve(
              Object.fromEntries(keys.map(({ keyName, value }) => [keyName, value])) as Record<
                KeyName,
                string
              >,
            );
          });
        },
      );
      sent.on('error', reject).end(JSON.stringify(body));
    });

  const proxy = new URL(emulator.proxyUrl);
  const pipelineOptions: StoragePipelineOptions = {
    proxyOptions: { host: `http://${proxy.hostname}`, port: Number(proxy.port) },
    retryOptions: { maxTries: 1 },
  };
  const clientWith = (key: string) =>
    new BlobServiceClient(
      'https://orders.blob.core.windows.net',
      new StorageSharedKeyCredential('orders', key),
      pipelineOptions,
    );

  return {
    accountName: 'orders',
    pipelineOptions,
    keys: () => call('listKeys', {}),
    regenerate: async (keyName) => (await call('regenerateKey', { keyName }))[keyName],
    connectionString: (key) =>
      `DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=${key};EndpointSuffix=core.windows.net`,
    clientWith,
    isRefused: (key) =>
      clientWith(key)
        .getProperties()
        .then(
          () => false,
          (error: { statusCode?: number }) => error.statusCode === 403,
        ),
    async [Symbol.asyncDispose]() {
      setDefaultCACertificates(trusted);
      await emulator.close();
    },
  };
}
