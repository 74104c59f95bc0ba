import { Hono, type Context } from 'hono';
import { z } from 'zod';
import type { Directory } from '../identity/directory.ts';
import type { Action } from '../identity/roles.ts';
import type { Tokens } from '../identity/tokens.ts';
import {
  answerRefusal,
  authorizationFailed,
  invalidApiVersion,
  invalidContent,
  invalidKeyName,
  invalidToken,
  methodNotAllowed,
  missingApiVersion,
  resourceNotFound,
  unknownPath,
} from './arm-refusal.ts';
import { keyNames, type StorageAccounts } from './storage-accounts.ts';

// The part of Azure Resource Manager that manages the keys of storage accounts,
// https://learn.microsoft.com/rest/api/storagerp/storage-accounts

/** What is to serve under this name through TLS. */
export const armHost = 'management.azure.com';
const audiences = [`https://${armHost}`, 'https://management.core.windows.net'].flatMap((audience) => [
  `${audience}/`,
  audience,
]);

interface ArmPorts {
  readonly accounts: StorageAccounts;
  readonly tokens: Tokens;
  readonly directory: Directory;
  readonly tenantId: string;
}

// An operation needs an action of a role; showing an account counts as listing its keys, which no role here lacks.
const operations: Readonly<Record<string, { method: string; action: Action; fullAction: string }>> = {
  '': { method: 'GET', action: 'listkeys', fullAction: 'read' },
  listkeys: { method: 'POST', action: 'listkeys', fullAction: 'listkeys/action' },
  regeneratekey: { method: 'POST', action: 'regenerateKey', fullAction: 'regeneratekey/action' },
};

export function createArm(ports: ArmPorts): Hono {
  const app = new Hono();
  const challenge = `Bearer authorization_uri="https://login.windows.net/${ports.tenantId}", error="invalid_token", error_description="The access token is missing or invalid."`;

  app.all('*', async (c) => {
    checkApiVersion(c.req.query('api-version'));
    const caller = await ports.tokens.examine(c.req.header('authorization'), audiences);
    if ('problem' in caller) throw invalidToken(caller, audiences);

    const target = readTarget(new URL(c.req.url).pathname);
    const operation = operations[target.operation];
    if (operation === undefined) throw unknownPath();
    if (c.req.method !== operation.method) throw methodNotAllowed(c.req.method);
    // Whoever may not see it isn't told that it isn't there.
    if (!ports.directory.allows(caller.objectId, operation.action, target.account))
      throw authorizationFailed(
        caller,
        `Microsoft.Storage/storageAccounts/${operation.fullAction}`,
        target.id,
      );
    if (ports.accounts.keysOf(target.account) === undefined)
      throw resourceNotFound(target.account, target.group);

    if (target.operation === '') return c.json(resourceOf(target, ports.accounts));
    if (target.operation === 'regeneratekey') ports.accounts.regenerate(target.account, await readKeyName(c));
    return c.json({
      keys: ports.accounts.keysOf(target.account)?.map((key) => ({ ...key, permissions: 'FULL' })),
    });
  });

  app.onError((error, c) => answerRefusal(c, error, challenge));
  return app;
}

function checkApiVersion(version: string | undefined): void {
  if (!version) throw missingApiVersion();
  if (!/^\d{4}-\d{2}-\d{2}(?:-preview)?$/.test(version)) throw invalidApiVersion(version);
}

interface Target {
  /** As in the path. */
  readonly id: string;
  readonly group: string;
  readonly account: string;
  /** In small letters: paths of ARM are the same in whichever case. */
  readonly operation: string;
}

function readTarget(path: string): Target {
  const match =
    /^(?<id>\/subscriptions\/[^/]+\/resourceGroups\/(?<group>[^/]+)\/providers\/Microsoft\.Storage\/storageAccounts\/(?<account>[^/]+))(?:\/(?<operation>[^/]+))?\/?$/i.exec(
      path,
    )?.groups;
  if (match === undefined) throw unknownPath();
  const { id = '', group = '', account = '', operation = '' } = match;
  return { id, group, account: account.toLowerCase(), operation: operation.toLowerCase() };
}

const regeneration = z.object({ keyName: z.string() });

async function readKeyName(c: Context) {
  const body = regeneration.safeParse(parse(await c.req.text()));
  if (!body.success) throw invalidContent();
  const keyName = keyNames.find((known) => known === body.data.keyName);
  if (keyName === undefined) throw invalidKeyName();
  return keyName;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidContent();
  }
}

function resourceOf({ id, account }: Target, accounts: StorageAccounts): object {
  const keys = accounts.keysOf(account) ?? [];
  return {
    sku: { name: 'Standard_LRS', tier: 'Standard' },
    kind: 'StorageV2',
    id,
    name: account,
    type: 'Microsoft.Storage/storageAccounts',
    location: 'westeurope',
    tags: {},
    properties: {
      keyCreationTime: Object.fromEntries(keys.map(({ keyName, creationTime }) => [keyName, creationTime])),
      allowSharedKeyAccess: true,
      supportsHttpsTrafficOnly: true,
      provisioningState: 'Succeeded',
      primaryEndpoints: { blob: `https://${account}.blob.core.windows.net/` },
      primaryLocation: 'westeurope',
      statusOfPrimary: 'available',
    },
  };
}
