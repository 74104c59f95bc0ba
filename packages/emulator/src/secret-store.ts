import {
  deletedButRecoverable,
  deletedSecretNotFound,
  invalidName,
  secretDisabled,
  secretNotFound,
} from './refusals.ts';
import type { DeletedSecret, NamedVersion, Page, SecretStore, SecretVersion } from './secret.ts';
import { insertKey, keysAfter, removeKey } from './sorted-keys.ts';

interface Secret {
  readonly name: string;
  readonly versions: Map<string, SecretVersion>;
  readonly versionIds: string[];
  // The order of the sets decides which version is current. Two sets in one millisecond still happen one
  // after the other here, so no time stamp is compared.
  currentId: string;
}

interface Deletion {
  readonly secret: Secret;
  readonly deletedAt: number;
  readonly scheduledPurge: number;
}

const validName = /^[0-9a-zA-Z-]{1,127}$/;
const secondsPerDay = 86_400;

export function checkName(name: string): void {
  if (!validName.test(name)) throw invalidName(name);
}

// Names differ in case only on the surface.
function keyOf(name: string): string {
  checkName(name);
  return name.toLowerCase();
}

/** The secrets of one vault, in memory. */
export function createSecretStore(ports: {
  readonly now: () => Date;
  readonly newVersionId: () => string;
  readonly recoverableDays: number;
}): SecretStore {
  const secrets = new Map<string, Secret>();
  const names: string[] = [];
  const deletions = new Map<string, Deletion>();
  const deletedNames: string[] = [];
  const seconds = (): number => Math.floor(ports.now().getTime() / 1000);

  const versionOf = (secret: Secret, id: string): SecretVersion => {
    const version = secret.versions.get(id.toLowerCase());
    if (version === undefined) throw secretNotFound(secret.name, id);
    return version;
  };

  const find = (name: string, id: string | undefined): { secret: Secret; version: SecretVersion } => {
    const secret = secrets.get(keyOf(name));
    if (secret === undefined) throw secretNotFound(name, id);
    return { secret, version: versionOf(secret, id ?? secret.currentId) };
  };

  const current = (secret: Secret): NamedVersion => ({
    name: secret.name,
    version: versionOf(secret, secret.currentId),
  });

  const forget = (key: string): void => {
    deletions.delete(key);
    removeKey(deletedNames, key);
  };

  // The scheduled purge happens when somebody looks: no timer that outlives the vault, and a clock that is
  // set forward works at once.
  const deletionAt = (key: string): Deletion | undefined => {
    const deletion = deletions.get(key);
    if (deletion === undefined || deletion.scheduledPurge > seconds()) return deletion;
    forget(key);
    return undefined;
  };

  const findDeletion = (name: string): Deletion => {
    const deletion = deletionAt(keyOf(name));
    if (deletion === undefined) throw deletedSecretNotFound(name);
    return deletion;
  };

  const described = ({ secret, deletedAt, scheduledPurge }: Deletion): DeletedSecret => ({
    ...current(secret),
    deletedAt,
    scheduledPurge,
  });

  const emptySecret = (key: string, name: string): Secret => {
    const secret: Secret = { name, versions: new Map(), versionIds: [], currentId: '' };
    secrets.set(key, secret);
    insertKey(names, key);
    return secret;
  };

  return {
    set(name, value, properties = {}) {
      const key = keyOf(name);
      if (deletionAt(key) !== undefined) throw deletedButRecoverable(name);
      const secret = secrets.get(key) ?? emptySecret(key, name);
      const at = seconds();
      const id = ports.newVersionId();
      const version = { enabled: true, ...properties, id, value, created: at, updated: at };
      secret.versions.set(id, version);
      insertKey(secret.versionIds, id);
      secret.currentId = id;
      return { name: secret.name, version };
    },

    get(name, id) {
      const { secret, version } = find(name, id);
      if (!version.enabled) throw secretDisabled();
      return { name: secret.name, version };
    },

    update(name, id, changes) {
      const { secret, version } = find(name, id);
      const updated = { ...version, ...changes, updated: seconds() };
      secret.versions.set(version.id, updated);
      return { name: secret.name, version: updated };
    },

    list: ({ after, count }) =>
      pageOf(keysAfter(names, after, count), (key) => {
        const secret = secrets.get(key);
        return secret && current(secret);
      }),

    listVersions(name, { after, count }) {
      const secret = secrets.get(keyOf(name));
      if (secret === undefined) return { items: [] };
      return pageOf(keysAfter(secret.versionIds, after, count), (id) => ({
        name: secret.name,
        version: versionOf(secret, id),
      }));
    },

    delete(name) {
      const { secret } = find(name, undefined);
      const key = keyOf(name);
      const deletedAt = seconds();
      const scheduledPurge = deletedAt + ports.recoverableDays * secondsPerDay;
      const deletion = { secret, deletedAt, scheduledPurge };
      secrets.delete(key);
      removeKey(names, key);
      deletions.set(key, deletion);
      insertKey(deletedNames, key);
      return described(deletion);
    },

    getDeleted: (name) => described(findDeletion(name)),

    listDeleted({ after, count }) {
      for (const key of deletions.keys()) deletionAt(key);
      return pageOf(keysAfter(deletedNames, after, count), (key) => {
        const deletion = deletions.get(key);
        return deletion && described(deletion);
      });
    },

    recover(name) {
      const { secret } = findDeletion(name);
      const key = keyOf(name);
      forget(key);
      secrets.set(key, secret);
      insertKey(names, key);
      return current(secret);
    },

    purge(name) {
      findDeletion(name);
      forget(keyOf(name));
    },
  };
}

function pageOf<T>(
  { keys, more }: ReturnType<typeof keysAfter>,
  read: (key: string) => T | undefined,
): Page<T> {
  const items = keys.map(read).filter((item) => item !== undefined);
  const last = keys.at(-1);
  return more && last !== undefined ? { items, next: last } : { items };
}
