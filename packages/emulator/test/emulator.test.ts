import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { get as httpGet, request, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { checkServerIdentity as tlsCheck, type PeerCertificate } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SecretClient } from '@azure/keyvault-secrets';
import { describe, expect, test } from 'vitest';
import { EmulatorError, startEmulator, type AuditEvent } from '../src/index.ts';
import { call } from './raw-call.ts';

const run = promisify(execFile);
const app = fileURLToPath(new URL('app.mjs', import.meta.url));
const cleanEnvironment = { PATH: process.env['PATH'] };

function statusOfConnect(proxyUrl: string, target: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const connecting = request(proxyUrl, { method: 'CONNECT', path: target });
    connecting.once('connect', (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode);
    });
    connecting.once('error', reject);
    connecting.end();
  });
}

describe('a process that knows nothing of the emulator', () => {
  test('it reaches the vault under its real URL with nothing but the environment', async () => {
    await using vault = await startEmulator({
      vaults: [{ name: 'orders', secrets: [{ name: 'seed', value: 'x' }] }],
    });
    const { stdout } = await run(process.execPath, [app, vault.vaultUrl], {
      env: { ...cleanEnvironment, ...vault.environment },
    });
    expect(JSON.parse(stdout)).toEqual({
      value: 'hello',
      version: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      names: ['from-child', 'seed'],
    });
  });

  test('without trust in the CA it fails, and the hint names the variable to set', async () => {
    const hints: string[] = [];
    await using vault = await startEmulator({ onHint: (line) => hints.push(line) });
    await new Promise((resolve) => {
      // Somebody who only looks whether the port is open gives no cause for a hint.
      const probe = connect(Number(new URL(vault.directUrl).port), '127.0.0.1', () => probe.end());
      probe.resume().once('close', resolve);
    });
    expect(hints).toEqual([]);
    const { NODE_EXTRA_CA_CERTS: _, ...rest } = vault.environment;
    const distrusting = `fetch('${vault.directUrl}').catch((error) => console.log(error.cause.code))`;
    const { stdout } = await run(process.execPath, ['-e', distrusting], {
      env: { ...cleanEnvironment, ...rest },
    });
    expect(stdout.trim()).toMatch(/SELF_SIGNED_CERT|UNABLE_TO_/);
    await expect.poll(() => hints).toHaveLength(1);
    expect(hints[0]).toContain(`NODE_EXTRA_CA_CERTS=${vault.caFile}`);
  });
});

describe('the proxy', () => {
  test('it leads to the vault and refuses every other destination', async () => {
    await using vault = await startEmulator();
    expect(await statusOfConnect(vault.proxyUrl, 'local.vault.azure.net:443')).toBe(200);
    for (const target of [
      'example.com:443',
      'local.vault.azure.net:80',
      'vault.azure.net.example.com:443',
      'x.vault.azure.net.example.com:443',
      '127.0.0.1:22',
    ])
      expect(await statusOfConnect(vault.proxyUrl, target)).toBe(403);
  });

  test('it serves no plain requests', async () => {
    await using vault = await startEmulator();
    const status = await new Promise((resolve, reject) => {
      httpGet(vault.proxyUrl, { path: 'http://example.com/' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(403);
  });
});

describe('certificates', () => {
  test('every vault is reached under a name of the loopback interface, too', async () => {
    await using vault = await startEmulator({ vaults: [{ name: 'orders' }, { name: 'other' }] });
    const host = 'other.vault.localhost';
    const asked = httpsGet({
      host: '127.0.0.1',
      port: new URL(vault.directUrl).port,
      servername: host,
      headers: { Host: host },
      ca: vault.ca,
      agent: false,
      path: '/secrets?api-version=7.6',
    });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.headers['www-authenticate']).toContain('resource="https://vault.localhost"');
  });

  test('the CA is good for vault names and the loopback interface, and for long', async () => {
    await using vault = await startEmulator();
    const ca = new X509Certificate(vault.ca);
    expect(ca.ca).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
    expect(new Date(ca.validTo).getTime()).toBeGreaterThan(Date.now() + 9 * 365 * 86_400_000);
  });

  test.each(['localhost', '127.0.0.1', 'local.vault.localhost'])(
    'a client that trusts the CA reaches the vault as %s',
    async (host) => {
      await using vault = await startEmulator();
      const url = vault.directUrl.replace('localhost', '127.0.0.1');
      const status = await new Promise((resolve, reject) => {
        const checkServerIdentity = (_: string, certificate: PeerCertificate) => tlsCheck(host, certificate);
        httpsGet(url, { ca: vault.ca, agent: false, headers: { host }, checkServerIdentity }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        }).on('error', reject);
      });
      expect(status).toBe(401);
    },
  );
});

describe('the audit log', () => {
  test('it says who did what to which version and how it ended, never a value', async () => {
    const audit: AuditEvent[] = [];
    await using vault = await startEmulator({
      vaults: [{ name: 'orders' }],
      startAt: new Date('2027-01-15T12:00:00Z'),
      log: (event) => audit.push(event),
    });
    vault.clock.stop();
    await vault.clock.set(new Date('2027-01-15T12:00:00Z'));
    const client = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
    const set = await client.setSecret('key', 'very-secret', { tags: { note: 'very-secret' } });
    await client.getSecret('key');
    await client.updateSecretProperties('key', '', { enabled: false });
    await expect(client.getSecret('key')).rejects.toThrow('disabled');
    await call(vault, '/secrets/key?api-version=7.6', { method: 'PUT', body: '{"value":"very-secret' });
    await call(vault, '/secrets/very_secret?api-version=7.6');

    const url = vault.vaultUrl;
    const version = `${url}/secrets/key/${set.properties.version}`;
    const by = (event: AuditEvent) =>
      event.identity.claim['http://schemas.microsoft.com/identity/claims/objectidentifier'];
    expect(
      audit.map((event) => [
        event.operationName,
        event.properties.httpStatusCode,
        event.resultType,
        by(event) === vault.identities.get('default').objectId,
        event.properties.id,
      ]),
    ).toEqual([
      ['Authentication', 401, 'Failed', false, undefined],
      ['SecretSet', 200, 'Success', true, version],
      ['SecretGet', 200, 'Success', true, version],
      ['SecretUpdate', 200, 'Success', true, version],
      ['SecretGet', 403, 'Failed', true, `${url}/secrets/key`],
      ['SecretSet', 400, 'Failed', true, `${url}/secrets/key`],
      ['SecretGet', 400, 'Failed', true, undefined],
    ]);
    expect(audit[1]).toMatchObject({
      time: '2027-01-15T12:00:00.000Z',
      category: 'AuditEvent',
      resourceId: expect.stringMatching(/\/VAULTS\/ORDERS$/) as string,
      properties: {
        isRbacAuthorized: true,
        clientInfo: expect.stringContaining('keyvault-secrets') as string,
      },
    });
    expect(vault.audit.events()).toEqual(audit);
    expect(JSON.stringify(audit)).not.toMatch(/very.secret/);
  });
});

describe('options', () => {
  test('initial secrets are there, the last set of a name is current', async () => {
    await using vault = await startEmulator({
      vaults: [
        {
          name: 'local',
          secrets: [
            { name: 'key', value: 'one' },
            { name: 'key', value: 'two', contentType: 'text/plain', tags: { a: 'b' } },
          ],
        },
      ],
    });
    const client = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
    expect(await client.getSecret('key')).toMatchObject({
      value: 'two',
      properties: { contentType: 'text/plain', tags: { a: 'b' } },
    });
  });

  test.each([
    ['a vault name with a dot', { vaults: [{ name: 'a.b' }] }],
    ['a port that can’t be', { port: 70_000 }],
    ['an unknown option', { colour: 'blue' }],
    ['a value that isn’t text', { vaults: [{ name: 'local', secrets: [{ name: 'key', value: 7 }] }] }],
  ])('%s is refused', async (_, options) => {
    await expect(startEmulator(options as object)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });

  test('an initial secret that no vault would take is refused, without its value in the message', async () => {
    const value = 'long '.repeat(6_000);
    const failure: unknown = await startEmulator({
      vaults: [{ name: 'local', secrets: [{ name: 'key', value }] }],
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EmulatorError);
    expect(failure).toMatchObject({ code: 'REQUEST_REFUSED', refusal: { innerCode: 'SecretTooLarge' } });
    expect(String(failure)).toContain('The secret key of the vault local can');
    expect(String(failure)).not.toContain('long long');
  });

  test('a port that is taken is said to be', async () => {
    await using vault = await startEmulator();
    const port = Number(new URL(vault.directUrl).port);
    await expect(startEmulator({ port })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
  });
});

const handles = (): number =>
  process.getActiveResourcesInfo().filter((kind) => /TCP|TLS|Timeout|Immediate|FSReq/.test(kind)).length;

test('closing leaves no handle and no file behind, with connections open or not', async () => {
  const before = handles();
  const vault = await startEmulator();
  await call(vault, '/secrets?api-version=7.6');
  await statusOfConnect(vault.proxyUrl, 'local.vault.azure.net:443');
  expect(handles()).toBeGreaterThan(before);
  await Promise.all([vault.close(), vault.close()]);
  await expect.poll(handles).toBeLessThanOrEqual(before);
  expect(existsSync(vault.caFile)).toBe(false);
});

test('a process that closes its emulator ends by itself', async () => {
  const source = fileURLToPath(new URL('../src/index.ts', import.meta.url));
  const script = `
    const { startEmulator } = await import(${JSON.stringify(source)});
    const vault = await startEmulator();
    vault.faults.inject({ operation: '*', effect: { kind: 'hang' } });
    const { token } = await vault.credential.getToken('https://vault.azure.net/.default');
    const https = await import('node:https');
    https.get(vault.vaultUrl + '/secrets?api-version=7.6', {
      agent: vault.clientOptions.agent, headers: { Authorization: 'Bearer ' + token },
    }).on('socket', (socket) => socket.once('secureConnect', async () => {
      await vault.close();
      console.log('closed');
    })).on('error', () => {});`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: cleanEnvironment,
    timeout: 20_000,
  });
  expect(stdout.trim()).toBe('closed');
});
