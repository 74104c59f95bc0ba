import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../rotator/src/clock.ts';
import { apiRoutes } from '../../rotator/src/server/api-routes.ts';
import type { Auth } from '../../rotator/src/server/api-auth.ts';
import { entraAuth } from '../../rotator/src/server/entra-auth.ts';
import { listen, type Listening } from '../../rotator/src/server/listen.ts';
import { localAuth } from '../../rotator/src/server/local-auth.ts';
import { audience, startIssuer, type Issuer } from '../../rotator/test/fakes/issuer.ts';
import { openMemoryOperations, type MemoryOperations } from '../../rotator/test/fakes/operations.ts';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** A rotator that serves its API from memory; it can be stopped and started again at the same address. */
export interface RotatorAtWork {
  readonly url: string;
  readonly operations: MemoryOperations;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startRotator({ auth = localAuth() }: { auth?: Auth } = {}): Promise<RotatorAtWork> {
  const operations = openMemoryOperations();
  const serve = (port: number): Promise<Listening> =>
    listen(apiRoutes({ operations, auth }), { host: '127.0.0.1', port });
  let listening: Listening | undefined = await serve(0);
  const { url } = listening;
  return {
    url,
    operations,
    async stop() {
      await listening?.close();
      listening = undefined;
    },
    async start() {
      listening = await serve(Number(new URL(url).port));
    },
  };
}

/** A rotator that asks for tokens, their issuer, and a managed identity that gets them from it. */
export async function startSignedInRotator(role: string): Promise<{
  readonly rotator: RotatorAtWork;
  readonly issuer: Issuer;
  /** What a process needs to act as the managed identity. */
  readonly environment: NodeJS.ProcessEnv;
  /** What tokens were asked for. */
  readonly resources: readonly string[];
  close(): Promise<void>;
}> {
  const issuer = await startIssuer();
  const resources: string[] = [];
  const answer = async (resource: string): Promise<string> => {
    const expires = Math.floor(Date.now() / 1000) + 3_600;
    const claims = { azp: 'deployer', oid: 'id-deployer', roles: [role] };
    const token = await issuer.sign(claims, { audience: resource, expires });
    return JSON.stringify({
      access_token: token,
      expires_on: String(expires),
      resource,
      token_type: 'Bearer',
    });
  };
  const identity = createServer((request, response) => {
    const resource = new URL(request.url ?? '', 'http://identity').searchParams.get('resource') ?? '';
    resources.push(resource);
    response.setHeader('content-type', 'application/json');
    void answer(resource).then((body) => response.end(body));
  }).listen(0, '127.0.0.1');
  await once(identity, 'listening');
  const rotator = await startRotator({
    auth: entraAuth({ issuer: issuer.url, audience, clock: systemClock }),
  });
  return {
    rotator,
    issuer,
    resources,
    environment: {
      IDENTITY_ENDPOINT: `http://127.0.0.1:${(identity.address() as AddressInfo).port}/msi/token`,
      IDENTITY_HEADER: 'of-this-test',
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
    },
    async close() {
      await rotator.stop();
      await issuer.close();
      identity.close();
      identity.closeAllConnections();
    },
  };
}

/** `keyturn` as a process, and what it has printed. */
export interface Running {
  readonly child: ChildProcess;
  readonly text: { readonly out: string; readonly err: string };
  readonly ended: Promise<number>;
  /** Waits until what it printed matches. */
  until(sought: RegExp, where?: 'out' | 'err'): Promise<string>;
}

export function keyturn(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text.err += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => code as number);
  return {
    child,
    text,
    ended,
    async until(sought, where = 'out') {
      while (!sought.test(text[where])) {
        if (child.exitCode !== null)
          throw new Error(`It ended with ${child.exitCode}: ${text.out}${text.err}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return text[where];
    },
  };
}

/** Runs it to its end. */
export async function ran(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ code: number; out: string; err: string }> {
  const running = keyturn(args, environment);
  return { code: await running.ended, ...running.text };
}
