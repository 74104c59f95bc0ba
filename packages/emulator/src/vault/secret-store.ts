import type { ChangeLog } from '../change-log.ts';
import {
  alreadyThere,
  beingDeleted,
  beingRecovered,
  deletedButRecoverable,
  deletedSecretNotFound,
  invalidName,
  secretDisabled,
  secretNotFound,
} from './refusals.ts';
import { keyOf, openSecretShelf, type Deletion, type StoredSecret } from './secret-shelf.ts';
import type { DeletedSecret, NamedVersion, Page, SecretStore, SecretVersion } from './secret.ts';
import { keysAfter } from './sorted-keys.ts';

const validName = /^[0-9a-zA-Z-]{1,127}$/;
const secondsPerDay = 86_400;

export function checkName(name: string): void {
  if (!validName.test(name)) throw invalidName(name);
}

/** What happened to a secret, for those who tell others. */
export interface SecretWatcher {
  /** A version was set by a call of this process. */
  readonly versionSet: (secret: NamedVersion) => void;
  /** The current version is this one, with these attributes; undefined when the secret is gone. */
  readonly currentIs: (name: string, current: NamedVersion | undefined) => void;
}

/** The secrets of one vault: the rules of the service over what the log remembers. */
export function openSecretStore(options: {
  readonly vault: string;
  readonly log: ChangeLog;
  readonly now: () => Date;
  readonly newVersionId: () => string;
  readonly recoverableDays: number;
  /** How long a deletion and a recovery take to get through. */
  readonly delayMs: number;
  readonly watcher: SecretWatcher;
}): SecretStore {
  const { watcher } = options;
  const shelf = openSecretShelf(options.log, options.vault);
  const milliseconds = (): number => options.now().getTime();
  const seconds = (): number => Math.floor(milliseconds() / 1000);

  const versionOf = (secret: StoredSecret, id: string): SecretVersion => {
    const version = secret.versions.get(id.toLowerCase());
    if (version === undefined) throw secretNotFound(secret.name, id);
    return version;
  };

  const current = (secret: StoredSecret): NamedVersion => ({
    name: secret.name,
    version: versionOf(secret, secret.currentId),
  });

  const isAvailable = (secret: StoredSecret): boolean =>
    secret.availableAt === 0 || secret.availableAt <= milliseconds();

  const find = (name: string, id: string | undefined): { secret: StoredSecret; version: SecretVersion } => {
    checkName(name);
    const secret = shelf.secrets.get(keyOf(name));
    if (secret === undefined || !isAvailable(secret)) throw secretNotFound(name, id);
    return { secret, version: versionOf(secret, id ?? secret.currentId) };
  };

  // The scheduled purge happens when somebody looks: no timer that outlives the vault, and a clock that is
  // set forward works at once.
  const deletionAt = (key: string): Deletion | undefined => {
    const deletion = shelf.deletions.get(key);
    if (deletion === undefined || deletion.scheduledPurge > seconds()) return deletion;
    shelf.append({ kind: 'purged', name: key });
    return undefined;
  };

  const isSettled = (deletion: Deletion): boolean => deletion.settledAt <= milliseconds();

  const findDeletion = (name: string): Deletion => {
    checkName(name);
    const deletion = deletionAt(keyOf(name));
    if (deletion === undefined || !isSettled(deletion)) throw deletedSecretNotFound(name);
    return deletion;
  };

  /** Refuses while a deletion or a recovery of this name is under way. */
  const refuseWhileChanging = (name: string): void => {
    checkName(name);
    const deletion = deletionAt(keyOf(name));
    if (deletion !== undefined && !isSettled(deletion)) throw beingDeleted(name);
    const secret = shelf.secrets.get(keyOf(name));
    if (secret !== undefined && !isAvailable(secret)) throw beingRecovered(name);
  };

  const refuseWhileDeleted = (name: string): void => {
    refuseWhileChanging(name);
    if (deletionAt(keyOf(name)) !== undefined) throw deletedButRecoverable(name);
  };

  const described = ({ secret, deletedAt, scheduledPurge }: Deletion): DeletedSecret => ({
    ...current(secret),
    deletedAt,
    scheduledPurge,
  });

  return {
    set(name, value, properties = {}) {
      refuseWhileDeleted(name);
      const at = seconds();
      const id = options.newVersionId();
      const version = { enabled: true, ...properties, id, value, created: at, updated: at };
      const first = shelf.secrets.get(keyOf(name));
      const set = { name: first?.name ?? name, version };
      shelf.append({ kind: 'set', ...set });
      watcher.versionSet(set);
      watcher.currentIs(set.name, set);
      return set;
    },

    get(name, id) {
      const { secret, version } = find(name, id);
      if (!version.enabled) throw secretDisabled();
      return { name: secret.name, version };
    },

    update(name, id, changes) {
      const { secret, version } = find(name, id);
      const updated = { ...version, ...changes, updated: seconds() };
      shelf.append({ kind: 'updated', name: secret.name, version: updated });
      if (updated.id === secret.currentId) watcher.currentIs(secret.name, current(secret));
      return { name: secret.name, version: updated };
    },

    list: ({ after, count }) =>
      pageOf(keysAfter(shelf.names, after, count), (key) => {
        const secret = shelf.secrets.get(key);
        return secret !== undefined && isAvailable(secret) ? current(secret) : undefined;
      }),

    listVersions(name, { after, count }) {
      checkName(name);
      const secret = shelf.secrets.get(keyOf(name));
      if (secret === undefined || !isAvailable(secret)) return { items: [] };
      return pageOf(keysAfter(secret.versionIds, after, count), (id) => ({
        name: secret.name,
        version: versionOf(secret, id),
      }));
    },

    delete(name) {
      refuseWhileChanging(name);
      const { secret } = find(name, undefined);
      const deletedAt = seconds();
      const deletion = {
        deletedAt,
        scheduledPurge: deletedAt + options.recoverableDays * secondsPerDay,
        settledAt: milliseconds() + options.delayMs,
      };
      shelf.append({ kind: 'deleted', name: secret.name, ...deletion });
      watcher.currentIs(secret.name, undefined);
      return described({ secret, ...deletion });
    },

    getDeleted: (name) => described(findDeletion(name)),

    listDeleted({ after, count }) {
      for (const key of shelf.deletedNames.slice()) deletionAt(key);
      return pageOf(keysAfter(shelf.deletedNames, after, count), (key) => {
        const deletion = shelf.deletions.get(key);
        return deletion !== undefined && isSettled(deletion) ? described(deletion) : undefined;
      });
    },

    recover(name) {
      refuseWhileChanging(name);
      const { secret } = findDeletion(name);
      const availableAt = options.delayMs === 0 ? 0 : milliseconds() + options.delayMs;
      shelf.append({ kind: 'recovered', name: secret.name, availableAt });
      watcher.currentIs(secret.name, current(secret));
      return current(secret);
    },

    purge(name) {
      refuseWhileChanging(name);
      const { secret } = findDeletion(name);
      shelf.append({ kind: 'purged', name: secret.name });
    },

    backup(name) {
      const { secret } = find(name, undefined);
      return { name: secret.name, versions: [...secret.versions.values()] };
    },

    restore({ name, versions }) {
      refuseWhileDeleted(name);
      if (shelf.secrets.has(keyOf(name))) throw alreadyThere(name);
      shelf.append({ kind: 'restored', name, versions });
      const restored = current(find(name, undefined).secret);
      watcher.currentIs(name, restored);
      return restored;
    },

    has: (name) => shelf.secrets.has(keyOf(name)) || deletionAt(keyOf(name)) !== undefined,

    *current() {
      for (const secret of shelf.secrets.values()) yield current(secret);
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
