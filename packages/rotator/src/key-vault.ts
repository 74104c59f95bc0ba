import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { SecretClient, type SecretClientOptions, type SecretProperties } from '@azure/keyvault-secrets';
import { SecretValue } from '@keyturn/source';
import { RotatorError } from './rotator-error.ts';
import { vaultError } from './vault-error.ts';
import { versionTags, type Vault, type VaultVersion, type VersionTags } from './vault.ts';

export interface KeyVaultOptions {
  /** `https://NAME.vault.azure.net` */
  readonly url: string;
  /** A request without an answer for this long is given up, milliseconds. */
  readonly requestTimeoutMs: number;
  /** `DefaultAzureCredential` if absent. */
  readonly credential?: TokenCredential;
  /** Passed to the SDK: a proxy, an own CA. */
  readonly clientOptions?: SecretClientOptions;
}

/** Azure Key Vault through its SDK. Needs get, list, set and update on the secrets that are rotated. */
export function keyVault(options: KeyVaultOptions): Vault {
  const { requestTimeoutMs, credential = new DefaultAzureCredential(), clientOptions = {} } = options;
  const url = new URL(options.url).origin; // one vault, however its URL is written
  // Retries are the runbook's: one that the SDK makes by itself could publish twice.
  const client = new SecretClient(url, credential, { ...clientOptions, retryOptions: { maxRetries: 0 } });
  const within = () => ({ abortSignal: AbortSignal.timeout(requestTimeoutMs) });
  const call = async <T>(secret: string, doing: string, request: () => Promise<T>): Promise<T> => {
    try {
      return await request();
    } catch (error) {
      throw vaultError(error, { url, secret, doing, requestTimeoutMs });
    }
  };

  async function listVersions(secret: string): Promise<SecretProperties[]> {
    return call(secret, 'list the versions of', async () => {
      const versions: SecretProperties[] = [];
      for await (const version of client.listPropertiesOfSecretVersions(secret, within()))
        versions.push(version);
      return versions;
    });
  }

  async function update(secret: string, version: string, change: { tags: VersionTags; enabled?: boolean }) {
    const known = (await listVersions(secret)).find((candidate) => candidate.version === version);
    const tags = { ...known?.tags, ...toAzureTags(change.tags) };
    const enabled = change.enabled === undefined ? {} : { enabled: change.enabled };
    await call(secret, 'update', () =>
      client.updateSecretProperties(secret, version, { tags, ...enabled, ...within() }),
    );
  }

  return {
    url,
    async current(secret) {
      const found = await call(secret, 'read', () => client.getSecret(secret, within()));
      return { ...toVersion(found.properties), value: toValue(secret, found.value) };
    },
    async versions(secret) {
      const versions = (await listVersions(secret)).map(toVersion);
      return versions.toSorted((one, other) => other.createdAt - one.createdAt);
    },
    async read(secret, version) {
      const found = await call(secret, 'read', () => client.getSecret(secret, { version, ...within() }));
      return toValue(secret, found.value);
    },
    async publish(secret, value, { expiresOn, tags }) {
      const { properties } = await call(secret, 'read', () => client.getSecret(secret, within()));
      const set = await call(secret, 'set', () =>
        client.setSecret(secret, value.reveal(), {
          enabled: true,
          expiresOn,
          tags: { ...peoplesTags(properties.tags), ...toAzureTags(tags) },
          ...(properties.contentType === undefined ? {} : { contentType: properties.contentType }),
          ...within(),
        }),
      );
      return toVersion(set.properties);
    },
    tag: (secret, version, tags) => update(secret, version, { tags }),
    disable: (secret, version, tags) => update(secret, version, { tags, enabled: false }),
  };
}

function toVersion({ version, enabled, createdOn, expiresOn, tags }: SecretProperties): VaultVersion {
  if (version === undefined || createdOn === undefined) {
    throw new RotatorError('VAULT_UNEXPECTED', 'Key Vault sent a version without its id or creation time.', {
      hint: 'See that the vault URL leads to a Key Vault and not to something in between.',
    });
  }
  return {
    version,
    enabled: enabled !== false,
    createdAt: createdOn.getTime(),
    ...(expiresOn ? { expiresAt: expiresOn.getTime() } : {}),
    tags: fromAzureTags(tags),
    peoplesTags: Object.keys(peoplesTags(tags)).length,
  };
}

function toValue(secret: string, value: string | undefined): SecretValue {
  if (value !== undefined && value !== '') return new SecretValue(value);
  throw new RotatorError('VAULT_UNEXPECTED', `The secret ${secret} is empty.`, {
    hint: 'Set its value, then rotate.',
  });
}

function fromAzureTags(tags: Record<string, string> = {}): VersionTags {
  const { rotation, credential, rolledBack, refusedAt } = versionTags;
  return {
    ...(tags[rotation] ? { rotation: tags[rotation] } : {}),
    ...(tags[credential] ? { credential: tags[credential] } : {}),
    ...(tags[rolledBack] ? { rolledBack: true } : {}),
    ...(tags[refusedAt] ? { refusedAt: Date.parse(tags[refusedAt]) } : {}),
  };
}

function toAzureTags(tags: VersionTags): Record<string, string> {
  return {
    ...(tags.rotation ? { [versionTags.rotation]: tags.rotation } : {}),
    ...(tags.credential ? { [versionTags.credential]: tags.credential } : {}),
    ...(tags.rolledBack ? { [versionTags.rolledBack]: 'true' } : {}),
    ...(tags.refusedAt ? { [versionTags.refusedAt]: new Date(tags.refusedAt).toISOString() } : {}),
  };
}

function peoplesTags(tags: Record<string, string> = {}): Record<string, string> {
  const ours = new Set<string>(Object.values(versionTags));
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !ours.has(name)));
}
