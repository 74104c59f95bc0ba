import type { ChangeLog } from '../change-log.ts';
import type { Directory } from '../identity/directory.ts';
import type { Tokens } from '../identity/tokens.ts';
import { siteAt, type Site } from '../network/sites.ts';
import type { StorageAccountSettings } from '../options.ts';
import { armHost, createArm } from './arm.ts';
import { startAzurite } from './azurite.ts';
import { createBlobEndpoint, isBlobHost } from './blob-endpoint.ts';
import { openStorageAccounts } from './storage-accounts.ts';

/** Storage accounts: their keys through Azure Resource Manager, their blobs in an Azurite that knows no other keys. */
export async function openStorage(options: {
  readonly settings: readonly StorageAccountSettings[];
  readonly log: ChangeLog;
  readonly now: () => Date;
  readonly tokens: Tokens;
  readonly directory: Directory;
  readonly tenantId: string;
  readonly dataFolder: string | undefined;
}): Promise<{ readonly sites: readonly Site[]; close(): Promise<void> }> {
  const accounts = openStorageAccounts(options);
  const arm = siteAt([armHost], createArm({ ...options, accounts }));
  // Most emulators have none, and Azurite takes its time.
  if (options.settings.length === 0) return { sites: [arm], close: async () => {} };
  const azurite = await startAzurite({
    keysOf: (account) => accounts.keysOf(account)?.map(({ value }) => value),
    ...(options.dataFolder === undefined ? {} : { dataFolder: options.dataFolder }),
  });
  const blobs = { serves: isBlobHost, fetch: createBlobEndpoint(azurite).fetch };
  return { sites: [arm, blobs], close: () => azurite.close() };
}
