import { EmulatorError } from '../emulator-error.ts';

/** The error body that every Key Vault refusal has. */
export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly innererror?: { readonly code: string };
  };
}

interface Details {
  readonly innerCode?: string;
  readonly retryAfterSeconds?: number;
}

/** A refusal as an error to throw; `errorBody` turns it into what goes over the wire. */
export function refuse(status: number, code: string, message: string, details: Details = {}): EmulatorError {
  return new EmulatorError('REQUEST_REFUSED', message, { refusal: { status, code, ...details } });
}

export function errorBody(code: string, message: string, innerCode?: string): ErrorBody {
  return {
    error: { code, message, ...(innerCode === undefined ? {} : { innererror: { code: innerCode } }) },
  };
}

// The texts below are the service's own wherever a recording of the real service shows them; clients and
// log searches match on them.

export const missingToken = (): EmulatorError =>
  refuse(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.');

export const unknownSigningKey = (): EmulatorError =>
  refuse(401, 'Unauthorized', 'AKV10046: Unable to resolve the key used for signature validation.');

export const wrongAudience = (expected: string, found: string): EmulatorError =>
  refuse(401, 'Unauthorized', `AKV10022: Invalid audience. Expected ${expected}, found: ${found}.`);

export const wrongIssuer = (expected: string): EmulatorError =>
  refuse(401, 'Unauthorized', `AKV10032: Invalid issuer. Expected one of ${expected}.`);

export const expiredToken = (): EmulatorError =>
  refuse(401, 'Unauthorized', 'IDX10223: Lifetime validation failed. The token is expired.');

export const invalidName = (name: string): EmulatorError =>
  refuse(400, 'BadParameter', `The request URI contains an invalid name: ${name}`);

export const badParameter = (message: string): EmulatorError => refuse(400, 'BadParameter', message);

export const unknownApiVersion = (version: string, newest: string): EmulatorError =>
  badParameter(
    `The specified version (${version}) is not recognized. Consider using the latest supported version (${newest}).`,
  );

export const secretTooLarge = (): EmulatorError =>
  refuse(400, 'BadParameter', 'Secret is beyond the maximum permitted length of 25600 characters.', {
    innerCode: 'SecretTooLarge',
  });

export const methodNotAllowed = (method: string): EmulatorError =>
  refuse(405, 'MethodNotAllowed', `The requested resource does not support http method '${method}'.`);

export const unknownPath = (): EmulatorError =>
  refuse(404, 'NotFound', 'The request URI names nothing that a vault has.');

export const secretNotFound = (name: string, version?: string): EmulatorError =>
  refuse(
    404,
    'SecretNotFound',
    `A secret with (name/id) ${version === undefined ? name : `${name}/${version}`} was not found in this key vault. ` +
      'If you recently deleted this secret you may be able to recover it using the correct recovery command. ' +
      'For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182',
  );

export const deletedSecretNotFound = (name: string): EmulatorError =>
  refuse(404, 'SecretNotFound', `Deleted Secret not found: ${name}`);

export const secretDisabled = (): EmulatorError =>
  refuse(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', {
    innerCode: 'SecretDisabled',
  });

export const deletedButRecoverable = (name: string): EmulatorError =>
  refuse(
    409,
    'Conflict',
    `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused; ` +
      'in this state, the secret can only be recovered or purged.',
    { innerCode: 'ObjectIsDeletedButRecoverable' },
  );

export const beingDeleted = (name: string): EmulatorError =>
  refuse(409, 'Conflict', `Secret ${name} is currently being deleted.`, {
    innerCode: 'ObjectIsBeingDeleted',
  });

export const beingRecovered = (name: string): EmulatorError =>
  refuse(409, 'Conflict', `Secret ${name} is currently being recovered.`, {
    innerCode: 'ObjectIsBeingRecovered',
  });

export const alreadyThere = (name: string): EmulatorError =>
  refuse(409, 'Conflict', `A secret with name ${name} already exists in this key vault.`);

export const malformedBackup = (): EmulatorError =>
  refuse(400, 'Malformed backup blob', 'Backup blob contains invalid or corrupt version.');

export const throttled = (): EmulatorError =>
  refuse(
    429,
    'Throttled',
    'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
  );

/** The caller has no role with this action here. */
export const forbiddenByRbac = (denied: {
  readonly objectId: string;
  readonly clientId: string;
  readonly issuer: string;
  readonly action: string;
  readonly resourceId: string;
  readonly vault: string;
}): EmulatorError =>
  refuse(
    403,
    'Forbidden',
    [
      'Caller is not authorized to perform action on resource.',
      'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
      `Caller: appid=${denied.clientId};oid=${denied.objectId};iss=${denied.issuer}`,
      `Action: '${denied.action}'`,
      `Resource: '${denied.resourceId}'`,
      'Assignment: (not found)',
      'DenyAssignmentId: null',
      'DecisionReason: null ',
      `Vault: ${denied.vault};location=local`,
      '',
    ].join('\r\n'),
    { innerCode: 'ForbiddenByRbac' },
  );

export const noSuchHost = (host: string, known: readonly string[]): EmulatorError =>
  refuse(421, 'VaultNotFound', `There is no vault at ${host}. This emulator serves ${known.join(', ')}.`);
