import type { Secret } from '../secret.ts';
import { SecretsError } from '../secrets-error.ts';

/** What it takes to sign requests to the blobs of a storage account. */
export interface StorageLogin {
  readonly accountName: string;
  /** Base64. */
  readonly accountKey: string;
  /** For example `https://orders.blob.core.windows.net`. */
  readonly url: string;
}

/**
 * Reads the login out of a value: an account key (base64; the account's name is passed in), or a connection
 * string (`DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net`, with or
 * without `BlobEndpoint=…`). What is passed in wins over the connection string, so that an address can differ.
 */
export function storageLogin(
  secret: Secret,
  known: { readonly accountName?: string | undefined; readonly url?: string | undefined },
): StorageLogin {
  const text = secret.reveal().trim();
  const parts = text.includes(';') ? fields(text) : new Map([['accountkey', text]]);
  const accountName = parts.get('accountname') ?? known.accountName;
  const accountKey = parts.get('accountkey');
  if (accountName === undefined || accountKey === undefined || !isKey(accountKey)) throw formatError(secret);
  if (known.accountName !== undefined && known.accountName !== accountName)
    throw otherAccount(secret, { accountName, expected: known.accountName });
  const protocol = parts.get('defaultendpointsprotocol') ?? 'https';
  const suffix = parts.get('endpointsuffix') ?? 'core.windows.net';
  const url = known.url ?? parts.get('blobendpoint') ?? `${protocol}://${accountName}.blob.${suffix}`;
  return { accountName, accountKey, url };
}

/** Azure's are 64 bytes. Shorter than 32 is no key, but perhaps a password that was stored by mistake. */
function isKey(text: string): boolean {
  return text.length >= 44 && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text);
}

function fields(text: string): Map<string, string> {
  const pairs = text.split(';').map((pair) => {
    const at = pair.indexOf('='); // the first one: keys end with some
    return [pair.slice(0, at).trim().toLowerCase(), pair.slice(at + 1).trim()] as const;
  });
  return new Map(pairs.filter(([, value]) => value !== ''));
}

function formatError(secret: Secret): SecretsError {
  return new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} is no login to a storage account. Store a connection string with AccountName and AccountKey, or the base64 key alone and give the option accountName.`,
  );
}

function otherAccount(secret: Secret, names: { accountName: string; expected: string }): SecretsError {
  return new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} is for the storage account ${names.accountName}, but this client is for ${names.expected}. Store a key of ${names.expected}, or open another client.`,
  );
}
