import { randomBytes } from 'node:crypto';
import type { ChangeLog } from '../change-log.ts';
import type { StorageAccountSettings } from '../options.ts';

export const keyNames = ['key1', 'key2'] as const;
export type KeyName = (typeof keyNames)[number];

/** A key that gives access to everything in an account. */
export interface AccountKey {
  readonly keyName: KeyName;
  /** 64 random bytes, base64. */
  readonly value: string;
  /** ISO 8601. */
  readonly creationTime: string;
}

export interface StorageAccounts {
  /** The names of all. */
  all(): readonly string[];
  /** Both keys, in the order of their names; nothing when there is no such account. */
  keysOf(account: string): readonly AccountKey[] | undefined;
  /** Replaces a key of an account that there is. The former value is good for nothing from now on. */
  regenerate(account: string, keyName: KeyName): void;
}

interface Change {
  readonly account: string;
  readonly key: AccountKey;
}

export function openStorageAccounts(options: {
  readonly log: ChangeLog;
  readonly settings: readonly StorageAccountSettings[];
  /** The emulator's clock. */
  readonly now: () => Date;
}): StorageAccounts {
  const configured = options.settings.map(({ name }) => name);
  // Accounts that are not configured this time keep their keys for the next time.
  const keys = new Map<string, ReadonlyMap<KeyName, AccountKey>>();

  const changes = options.log.open<Change>('storage', {
    apply({ account, key }) {
      keys.set(account, new Map([...(keys.get(account) ?? []), [key.keyName, key]]));
    },
    *snapshot() {
      for (const [account, ofAccount] of keys) for (const key of ofAccount.values()) yield { account, key };
    },
  });

  const regenerate = (account: string, keyName: KeyName): void => {
    const value = randomBytes(64).toString('base64');
    changes.append({ account, key: { keyName, value, creationTime: options.now().toISOString() } });
  };
  for (const account of configured)
    for (const keyName of keyNames)
      if (keys.get(account)?.get(keyName) === undefined) regenerate(account, keyName);

  return {
    all: () => configured,
    keysOf(account) {
      const found = configured.includes(account) ? keys.get(account) : undefined;
      return found && keyNames.flatMap((keyName) => found.get(keyName) ?? []);
    },
    regenerate,
  };
}
