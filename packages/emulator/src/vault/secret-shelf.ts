import type { Changes, ChangeLog } from '../change-log.ts';
import type { SecretVersion } from './secret.ts';
import { insertKey, removeKey } from './sorted-keys.ts';

// The state of one vault, and the changes that lead there. No rule is checked here.

export interface StoredSecret {
  /** As at its first set. */
  readonly name: string;
  /** In the order they were set, which decides which one is current: no time stamp is compared. */
  readonly versions: Map<string, SecretVersion>;
  /** Sorted. */
  readonly versionIds: string[];
  currentId: string;
  /** Epoch milliseconds: a recovery got through by then. */
  availableAt: number;
}

export interface Deletion {
  readonly secret: StoredSecret;
  /** Epoch seconds. */
  readonly deletedAt: number;
  readonly scheduledPurge: number;
  /** Epoch milliseconds: the deletion got through by then. */
  readonly settledAt: number;
}

export type SecretChange =
  | { readonly kind: 'set'; readonly name: string; readonly version: SecretVersion }
  | { readonly kind: 'updated'; readonly name: string; readonly version: SecretVersion }
  | ({ readonly kind: 'deleted'; readonly name: string } & Omit<Deletion, 'secret'>)
  | { readonly kind: 'recovered'; readonly name: string; readonly availableAt: number }
  | { readonly kind: 'purged'; readonly name: string }
  | { readonly kind: 'restored'; readonly name: string; readonly versions: readonly SecretVersion[] };

export interface SecretShelf extends Changes<SecretChange> {
  /** By name in small letters. */
  readonly secrets: ReadonlyMap<string, StoredSecret>;
  readonly deletions: ReadonlyMap<string, Deletion>;
  /** Sorted, in small letters. */
  readonly names: readonly string[];
  readonly deletedNames: readonly string[];
}

export function openSecretShelf(log: ChangeLog, vault: string): SecretShelf {
  const secrets = new Map<string, StoredSecret>();
  const deletions = new Map<string, Deletion>();
  const names: string[] = [];
  const deletedNames: string[] = [];

  const secretFor = (name: string): StoredSecret => {
    const key = keyOf(name);
    const known = secrets.get(key);
    if (known !== undefined) return known;
    const secret = { name, versions: new Map(), versionIds: [], currentId: '', availableAt: 0 };
    put(key, secret);
    return secret;
  };

  const put = (key: string, secret: StoredSecret): void => {
    secrets.set(key, secret);
    insertKey(names, key);
  };

  const add = (secret: StoredSecret, version: SecretVersion): void => {
    secret.versions.set(version.id, version);
    insertKey(secret.versionIds, version.id);
    secret.currentId = version.id;
  };

  const forgetDeletion = (key: string): StoredSecret | undefined => {
    const deletion = deletions.get(key);
    deletions.delete(key);
    removeKey(deletedNames, key);
    return deletion?.secret;
  };

  const apply = (change: SecretChange): void => {
    const key = keyOf(change.name);
    switch (change.kind) {
      case 'set':
        return add(secretFor(change.name), change.version);
      case 'updated':
        return void secrets.get(key)?.versions.set(change.version.id, change.version);
      case 'deleted': {
        const { deletedAt, scheduledPurge, settledAt } = change;
        const secret = secretFor(change.name);
        secrets.delete(key);
        removeKey(names, key);
        deletions.set(key, { secret, deletedAt, scheduledPurge, settledAt });
        return insertKey(deletedNames, key);
      }
      case 'recovered': {
        const secret = forgetDeletion(key);
        if (secret === undefined) return;
        secret.availableAt = change.availableAt;
        return put(key, secret);
      }
      case 'purged':
        return void forgetDeletion(key);
      case 'restored':
        for (const version of change.versions) add(secretFor(change.name), version);
    }
  };

  function* snapshot(): Iterable<SecretChange> {
    // The deleted ones first: their names may not be in use while they are laid out.
    for (const { secret, deletedAt, scheduledPurge, settledAt } of deletions.values()) {
      yield* laidOut(secret);
      yield { kind: 'deleted', name: secret.name, deletedAt, scheduledPurge, settledAt };
    }
    for (const secret of secrets.values()) yield* laidOut(secret);
  }

  const changes = log.open<SecretChange>(`secrets of ${vault}`, { apply, snapshot });
  return { ...changes, secrets, deletions, names, deletedNames };
}

function* laidOut({ name, versions }: StoredSecret): Iterable<SecretChange> {
  for (const version of versions.values()) yield { kind: 'set', name, version };
}

/** Names differ in case only on the surface. */
export const keyOf = (name: string): string => name.toLowerCase();
