import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEmulator, type AuditEvent, type Emulator, type Fault } from '../src/index.ts';
import { collect } from './collect.ts';
import { call } from './raw-call.ts';

let vault: Emulator;
let client: SecretClient;
let audit: AuditEvent[];

beforeEach(async () => {
  audit = [];
  vault = await startEmulator({
    vaults: [{ name: 'local', secrets: [{ name: 'key', value: 'one' }] }],
    log: (event) => audit.push(event),
  });
  client = new SecretClient(vault.vaultUrl, vault.credential, {
    ...vault.clientOptions,
    retryOptions: { maxRetries: 0 },
  });
});
afterEach(() => vault.close());

const versions = (name: string) => collect(client.listPropertiesOfSecretVersions(name));

test('throttling without Retry-After has the service’s body and no such header', async () => {
  vault.faults.inject({ operation: 'getSecret', effect: { kind: 'status', status: 429 } });
  const answer = await call(vault, '/secrets/key?api-version=7.6');
  expect(answer).toMatchObject({ status: 429, json: { error: { code: 'Throttled' } } });
  expect(answer.headers).not.toHaveProperty('retry-after');
});

test('throttling with Retry-After is got over by the client library itself', async () => {
  const patient = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
  vault.faults.inject({
    operation: 'getSecret',
    times: 2,
    effect: { kind: 'status', status: 429, retryAfterSeconds: 0 },
  });
  expect((await patient.getSecret('key')).value).toBe('one');
  const codes = audit
    .filter((event) => event.operationName !== 'Authentication')
    .map((event) => event.properties.httpStatusCode);
  expect(codes).toEqual([429, 429, 200]);
});

test('a status may carry a code of its own', async () => {
  vault.faults.inject({ operation: '*', effect: { kind: 'status', status: 403, code: 'ForbiddenByRbac' } });
  await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 403, code: 'ForbiddenByRbac' });
});

test('a reset cuts the connection and the set has not happened', async () => {
  vault.faults.inject({ operation: 'setSecret', times: 1, effect: { kind: 'reset' } });
  await expect(client.setSecret('key', 'two')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await versions('key')).toHaveLength(1);
  expect(audit).toContainEqual(
    expect.objectContaining({
      operationName: 'SecretSet',
      properties: expect.objectContaining({ httpStatusCode: 0, fault: 'reset' }) as object,
    }),
  );
});

test('a lost response cuts the connection and the set has happened', async () => {
  vault.faults.inject({ operation: 'setSecret', times: 1, effect: { kind: 'lostResponse' } });
  await expect(client.setSecret('key', 'two')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await versions('key')).toHaveLength(2);
  expect((await client.getSecret('key')).value).toBe('two');
  const lost = audit.find((event) => event.properties.fault === 'lostResponse');
  expect(lost).toMatchObject({
    operationName: 'SecretSet',
    properties: { id: expect.stringMatching(/\/secrets\/key\/[0-9a-f]{32}$/) as string, httpStatusCode: 200 },
  });
});

test('a client that retries a lost set leaves two versions behind', async () => {
  const patient = new SecretClient(vault.vaultUrl, vault.credential, {
    ...vault.clientOptions,
    retryOptions: { retryDelayInMs: 1 },
  });
  vault.faults.inject({ operation: 'setSecret', times: 1, effect: { kind: 'lostResponse' } });
  await patient.setSecret('fresh', 'x');
  expect(await versions('fresh')).toHaveLength(2);
});

test('a hanging call ends when the client gives up, and has not happened', async () => {
  vault.faults.inject({ operation: 'setSecret', times: 1, effect: { kind: 'hang' } });
  const abortSignal = AbortSignal.timeout(200);
  await expect(client.setSecret('key', 'two', { abortSignal })).rejects.toMatchObject({ name: 'AbortError' });
  expect(await versions('key')).toHaveLength(1);
});

test('a hanging call ends when the emulator closes', async () => {
  vault.faults.inject({ operation: 'getSecret', effect: { kind: 'hang' } });
  const hanging = Promise.allSettled([client.getSecret('key')]);
  // The challenge is over, and the call proper is on its way.
  await expect.poll(() => audit).toHaveLength(1);
  await vault.close();
  const [end] = await hanging;
  expect(end).toMatchObject({ status: 'rejected', reason: { code: 'ECONNRESET' } });
});

test('latency delays a call and lets it happen', async () => {
  vault.faults.inject({ operation: 'getSecret', times: 1, effect: { kind: 'latency', ms: 80 } });
  const start = performance.now();
  expect((await client.getSecret('key')).value).toBe('one');
  expect(performance.now() - start).toBeGreaterThan(75);
});

test('a long delay doesn’t keep the emulator from closing', async () => {
  vault.faults.inject({ operation: 'getSecret', effect: { kind: 'latency', ms: 3_600_000 } });
  await versions('key');
  const [end] = await Promise.allSettled([client.getSecret('key'), vault.close()]);
  expect(end).toMatchObject({ status: 'rejected', reason: { code: 'ECONNRESET' } });
});

describe('which calls a fault hits', () => {
  const broken: Fault['effect'] = { kind: 'status', status: 500 };

  test('only the named secret, in any case', async () => {
    await client.setSecret('other', 'x');
    vault.faults.inject({ operation: '*', secret: 'KEY', effect: broken });
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 500 });
    expect((await client.getSecret('other')).value).toBe('x');
  });

  test('only as many as it was given', async () => {
    vault.faults.inject({ operation: 'getSecret', times: 2, effect: broken });
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 500 });
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 500 });
    expect((await client.getSecret('key')).value).toBe('one');
  });

  test('none any more once it is taken out or all are cleared', async () => {
    const remove = vault.faults.inject({ operation: 'getSecret', effect: broken });
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 500 });
    remove();
    expect((await client.getSecret('key')).value).toBe('one');
    vault.faults.inject({ operation: 'getSecret', effect: broken });
    vault.faults.clear();
    expect((await client.getSecret('key')).value).toBe('one');
  });

  test('a call without a token uses none up', async () => {
    vault.faults.inject({ operation: 'getSecret', times: 1, effect: broken });
    expect((await call(vault, '/secrets/key?api-version=7.6', { token: undefined })).status).toBe(401);
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 500 });
  });

  test('a fault that makes no sense is refused', () => {
    const nonsense = { operation: 'getSecret', effect: { kind: 'status', status: 200 } } as const;
    expect(() => vault.faults.inject(nonsense)).toThrow(expect.objectContaining({ code: 'FAULT_INVALID' }));
  });
});
