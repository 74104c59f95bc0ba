import type { Directory } from '../identity/directory.ts';
import { actionFor, type Action } from '../identity/roles.ts';
import type { CallRecord } from './audit.ts';
import { forbiddenByRbac, missingToken } from './refusals.ts';

// Azure RBAC, as a vault asks it before every call.

const plainActions: readonly Action[] = ['update', 'delete'];
const nameOf = (action: Action): string =>
  `Microsoft.KeyVault/vaults/secrets/${action}${plainActions.includes(action) ? '' : '/action'}`;

/** Lets a caller pass whose roles allow what the call does, and returns that identity's name. */
export function createAuthorization(options: {
  readonly directory: Directory;
  readonly vault: string;
  readonly resourceId: string;
  readonly issuer: string;
}): (record: CallRecord) => string {
  const { directory, vault, resourceId, issuer } = options;
  return (record) => {
    const { caller, operation, secret } = record;
    if (caller === undefined || operation === undefined) throw missingToken();
    const action = actionFor[operation];
    record.authorized = directory.allows(caller.objectId, action, vault, secret);
    if (record.authorized) return directory.nameOf(caller.objectId) ?? '';
    const resource = secret === undefined ? resourceId : `${resourceId}/secrets/${secret.toLowerCase()}`;
    throw forbiddenByRbac({ ...caller, issuer, action: nameOf(action), resourceId: resource, vault });
  };
}
