import {
  AnonymousCredential,
  BlobClient,
  BlobServiceClient,
  ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
  type BlobGenerateSasUrlOptions,
  type ContainerGenerateSasUrlOptions,
  type RequestPolicyFactory,
  type StoragePipelineOptions,
} from '@azure/storage-blob';
import { systemClock } from '../clock.ts';
import { follow, type Following, type Told } from '../follow.ts';
import type { Secrets } from '../secrets.ts';
import { SecretsError } from '../secrets-error.ts';
import { storageLogin, type StorageLogin } from './storage-login.ts';

/** The pipeline options of `@azure/storage-blob`, and where the account is. */
export interface SecretBlobOptions extends StoragePipelineOptions {
  /** The account's name; needed when the value is a key alone. */
  readonly accountName?: string;
  /** Where its blobs are; default what the connection string says, or `https://ACCOUNT.blob.core.windows.net`. */
  readonly url?: string;
  /** Told why the newest version could not be taken up. The old one stays, and it is tried again. */
  readonly failed?: (error: Error) => void;
  /** How long the proof of a new key may take, milliseconds; default 10,000. */
  readonly loginTimeoutMs?: number;
}

export interface Expiring {
  readonly expiresOn: Date;
}

/** The blobs of a storage account, through whichever key is the newest. */
export interface SecretBlobService {
  /** One client for life. It, and every client that it makes, signs each request with the newest key. */
  readonly client: BlobServiceClient;
  /**
   * A URL with a SAS, signed with the newest key. Such a URL dies with its key, so its version counts as in use
   * until `expiresOn`, and a rotation waits for that long. Keep it short.
   */
  sasUrl(of: BlobClient, options: BlobGenerateSasUrlOptions & Expiring): Promise<string>;
  sasUrl(of: ContainerClient, options: ContainerGenerateSasUrlOptions & Expiring): Promise<string>;
  /**
   * Lends the newest key to what takes a credential of its own, such as the parts of a batch. It counts as in use
   * until the action settles; a refusal is tried once more with a newer key.
   */
  use<Result>(action: (credential: StorageSharedKeyCredential) => Result | Promise<Result>): Promise<Result>;
  /** Waits for the requests under way; no request is signed any more. */
  close(): Promise<void>;
}

interface SigningKey {
  readonly credential: StorageSharedKeyCredential;
  readonly told: Told;
  /** When the last SAS that was signed with it expires, milliseconds since 1970. */
  sasUntil: number;
}

/**
 * Opens the blobs of a storage account whose key is a secret. A new key is proven with a request of its own before
 * it signs any other; the old one counts as in use until the last request that it signed is answered.
 *
 * The value is a key (base64, with `accountName` in the options) or a connection string of the account.
 *
 * @throws SecretsError `VALUE_FORMAT`, or why the vault or the account said no to the first login.
 *
 * @example
 * const blobs = await openBlobService(secrets, 'orders-storage', { accountName: 'orders' });
 * const invoices = blobs.client.getContainerClient('invoices'); // keep it as long as you like
 * await invoices.getBlockBlobClient('1.pdf').uploadData(pdf);
 */
export async function openBlobService<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  options: SecretBlobOptions = {},
): Promise<SecretBlobService> {
  const { accountName, url, failed, loginTimeoutMs, ...pipelineOptions } = options;
  let account: { accountName?: string | undefined; url?: string | undefined } = { accountName, url };
  const stopped = Promise.withResolvers<void>();

  const keys = follow<SigningKey, Name>(secrets, name, {
    open(secret, told) {
      const login = storageLogin(secret, account);
      account = { accountName: login.accountName, url: login.url }; // from now on no other one
      return { credential: credentialOf(login), told, sasUntil: 0 };
    },
    prove({ credential }) {
      const once = { ...pipelineOptions, retryOptions: { ...pipelineOptions.retryOptions, maxTries: 1 } };
      return new BlobServiceClient(account.url ?? '', credential, once).getAccountInfo();
    },
    close: (key) => whenExpired(key, stopped.promise),
    refused: isKeyRefusal,
    failed,
    loginTimeoutMs,
  });
  const close = (): Promise<void> => {
    stopped.resolve();
    return keys.close();
  };

  try {
    await keys.use(() => {});
  } catch (error) {
    await close();
    throw error;
  }

  const pipeline = newPipeline(new AnonymousCredential(), pipelineOptions);
  pipeline.factories.push(signer(keys, pipelineOptions.retryOptions?.tryTimeoutInMs));
  return {
    client: new BlobServiceClient(account.url ?? '', pipeline),
    sasUrl: (
      of: BlobClient | ContainerClient,
      sas: (BlobGenerateSasUrlOptions | ContainerGenerateSasUrlOptions) & Expiring,
    ) =>
      keys.use((key) => {
        if (Number.isNaN(sas.expiresOn.getTime()))
          throw new SecretsError(
            'OPTIONS_INVALID',
            'expiresOn is no date. Give the time at which the URL expires.',
          );
        key.sasUntil = Math.max(key.sasUntil, sas.expiresOn.getTime());
        return of instanceof ContainerClient
          ? new ContainerClient(of.url, key.credential).generateSasUrl(sas as ContainerGenerateSasUrlOptions)
          : new BlobClient(of.url, key.credential).generateSasUrl(sas);
      }),
    use: (action) => keys.use(({ credential }) => action(credential)),
    close,
  };
}

const credentialOf = ({ accountName, accountKey }: StorageLogin): StorageSharedKeyCredential =>
  new StorageSharedKeyCredential(accountName, accountKey);

/**
 * Signs every request of a pipeline. It stands before the SDK's own retries, so these repeat what was signed, for
 * as long as the key is held; the date in it is good for 15 minutes.
 */
function signer(keys: Following<SigningKey>, tryTimeoutMs: number | undefined): RequestPolicyFactory {
  return {
    create: (next, options) => ({
      async sendRequest(request) {
        const url = withTimeout(request.url, tryTimeoutMs);
        let refusal: unknown;
        return keys.use(async ({ credential, told }) => {
          if (refusal !== undefined && !isReplayable(request.body)) throw refusal;
          request.url = url; // a retry may have turned it to the secondary host
          try {
            const response = await credential.create(next, options).sendRequest(request);
            told.authenticated();
            return response;
          } catch (error) {
            refusal = error;
            throw error;
          }
        });
      },
    }),
  };
}

/** The SDK's retries set this parameter, too, but after the signature that has to cover it. */
function withTimeout(url: string, tryTimeoutMs: number | undefined): string {
  if (!tryTimeoutMs) return url;
  return `${url}${url.includes('?') ? '&' : '?'}timeout=${Math.floor(tryTimeoutMs / 1000)}`;
}

/** A stream can be read once; a function that makes one, and bytes, can be sent again. */
function isReplayable(body: unknown): boolean {
  const { pipe, getReader } = (body ?? {}) as { pipe?: unknown; getReader?: unknown };
  return typeof pipe !== 'function' && typeof getReader !== 'function';
}

/** 403 has other meanings, too: the account's firewall (`AuthorizationFailure`), or keys that are switched off. */
function isKeyRefusal(error: unknown): boolean {
  const { statusCode, response } = error as {
    statusCode?: unknown;
    response?: { headers?: { get?(name: string): string | undefined } };
  };
  const header = (name: string): string | undefined => response?.headers?.get?.(name);
  const code = header('x-ms-error-code'); // there for HEAD, too, whose answer has no body
  const isAzurite = header('server')?.startsWith('Azurite') === true;
  return statusCode === 403 && code === (isAzurite ? 'AuthorizationFailure' : 'AuthenticationFailed');
}

async function whenExpired(key: SigningKey, stopped: Promise<void>): Promise<void> {
  let isStopped = false;
  void stopped.then(() => (isStopped = true));
  for (;;) {
    const leftMs = key.sasUntil - Date.now();
    if (leftMs <= 0 || isStopped) return;
    const expired = Promise.withResolvers<void>();
    const cancel = systemClock.after(leftMs, expired.resolve); // at most 24 days at a time
    await Promise.race([expired.promise, stopped]);
    cancel();
  }
}
