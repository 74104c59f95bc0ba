import type { FaultEffect } from './faults.ts';
import type { Operation } from './operations.ts';

// Every call of a vault, in the form of Key Vault's own AuditEvent log:
// https://learn.microsoft.com/azure/key-vault/general/logging

/** One call: who did what to which secret, and how it ended. Never a value. */
export interface AuditEvent {
  /** By the emulator's clock, ISO 8601. */
  readonly time: string;
  readonly category: 'AuditEvent';
  readonly resourceId: string;
  /** `SecretGet`, `SecretSet` …; `Authentication` when the call was refused before it was clear what it wanted. */
  readonly operationName: string;
  readonly operationVersion: string;
  readonly resultType: 'Success' | 'Failed';
  readonly resultSignature: string;
  readonly durationMs: number;
  readonly callerIpAddress: string;
  /** The `x-ms-request-id` of the answer. */
  readonly correlationId: string;
  readonly identity: {
    /** Empty when the call carried no valid token. */
    readonly claim: { readonly [objectIdClaim]?: string; readonly appid?: string };
  };
  readonly properties: {
    /** The secret's or the version's address; absent for lists, and for names that no secret can have. */
    readonly id?: string;
    readonly clientInfo: string;
    readonly requestUri: string;
    /** Of a lost response too; 0 when a fault left the call without effect and without an answer. */
    readonly httpStatusCode: number;
    readonly isRbacAuthorized?: boolean;
    /** The fault that was injected into this call. The service has no such thing. */
    readonly fault?: FaultEffect['kind'];
  };
}

export const objectIdClaim = 'http://schemas.microsoft.com/identity/claims/objectidentifier';

const operationNames: Readonly<Record<Operation, string>> = {
  setSecret: 'SecretSet',
  getSecret: 'SecretGet',
  updateSecret: 'SecretUpdate',
  listSecrets: 'SecretList',
  listVersions: 'SecretListVersions',
  deleteSecret: 'SecretDelete',
  getDeletedSecret: 'SecretGetDeleted',
  listDeletedSecrets: 'SecretListDeleted',
  recoverSecret: 'SecretRecover',
  purgeSecret: 'SecretPurge',
  backupSecret: 'SecretBackup',
  restoreSecret: 'SecretRestore',
};

const signatures: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  429: 'Too Many Requests',
};

// What has no place in a path isn't logged: it might be a value that somebody put there.
const plausiblePath = /^\/(?:deleted)?secrets(?:\/[0-9a-zA-Z-]+){0,2}\/?$/;

/** What is learnt about a call while it is served. */
export interface CallRecord {
  readonly requestId: string;
  readonly startedAt: number;
  caller?: { readonly objectId: string; readonly clientId: string };
  operation?: Operation;
  secret?: string;
  version?: string;
  authorized?: boolean;
  fault?: FaultEffect['kind'];
  /** Of the answer. */
  status?: number;
  /** Set when the client got no answer: the status it would have got, or 0 when nothing took effect. */
  lostStatus?: number;
}

export function auditEvent(
  call: CallRecord,
  facts: {
    readonly time: Date;
    readonly durationMs: number;
    readonly vaultUrl: string;
    readonly resourceId: string;
    readonly url: URL;
    readonly userAgent: string;
  },
): AuditEvent {
  const { caller, secret, version, fault, authorized } = call;
  const status = call.lostStatus ?? call.status ?? 0;
  const id = [facts.vaultUrl, 'secrets', secret, version].filter((part) => part !== undefined).join('/');
  return {
    time: facts.time.toISOString(),
    category: 'AuditEvent',
    resourceId: facts.resourceId.toUpperCase(),
    operationName: call.operation === undefined ? 'Authentication' : operationNames[call.operation],
    operationVersion: facts.url.searchParams.get('api-version') ?? '',
    resultType: status >= 200 && status < 300 ? 'Success' : 'Failed',
    resultSignature: signatures[status] ?? String(status),
    durationMs: facts.durationMs,
    callerIpAddress: '127.0.0.1',
    correlationId: call.requestId,
    identity: {
      claim: caller === undefined ? {} : { [objectIdClaim]: caller.objectId, appid: caller.clientId },
    },
    properties: {
      ...(secret === undefined ? {} : { id }),
      clientInfo: facts.userAgent,
      requestUri: `${facts.vaultUrl}${plausiblePath.test(facts.url.pathname) ? facts.url.pathname : '/'}`,
      httpStatusCode: status,
      ...(authorized === undefined ? {} : { isRbacAuthorized: authorized }),
      ...(fault === undefined ? {} : { fault }),
    },
  };
}
