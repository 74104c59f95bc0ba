import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { serverProgram } from './server-program.ts';

// Debian's own start script insists on a system user; what it calls in the end doesn't.
const library = '/usr/lib/rabbitmq/lib';
const installed = serverProgram('rabbitmq-server', 'rabbitmq-server') !== undefined && existsSync(library);

export const hasRabbitMq = installed;

export interface RabbitMq {
  readonly port: number;
  /** The management API: `PUT /api/users/x`. Throws unless it answers with success. */
  api(method: string, path: string, body?: object): Promise<unknown>;
  stop(): Promise<void>;
}

/** A broker of its own on loopback, and its port mapper too. Takes about ten seconds. */
export async function startRabbitMq(): Promise<RabbitMq> {
  const folder = await mkdtemp(join(tmpdir(), 'rabbitmq-'));
  const [port, managementPort, distributionPort, mapperPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  await mkdir(join(folder, 'log'));
  await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_management].\n');
  await writeFile(
    join(folder, 'rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${port}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${managementPort}
collect_statistics_interval = 500
`,
  );
  const version = readdirSync(library).find((name) => name.startsWith('rabbitmq_server')) ?? '';
  const child = spawn(join(library, version, 'sbin', 'rabbitmq-server'), {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      RABBITMQ_NODENAME: `test${port}@localhost`,
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_PID_FILE: join(folder, 'pid'),
      RABBITMQ_DIST_PORT: String(distributionPort),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      ERL_EPMD_PORT: String(mapperPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
    },
  });
  const gone = once(child, 'exit');
  const api = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${managementPort}${path}`, {
      method,
      headers: { authorization: `Basic ${btoa('guest:guest')}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  while (
    !(await api('GET', '/api/healthchecks/node').then(
      () => true,
      () =>
        api('GET', '/api/overview').then(
          () => true,
          () => false,
        ),
    ))
  ) {
    if (child.exitCode !== null) throw new Error('RabbitMQ did not start.');
    await sleep(100);
  }
  return {
    port,
    api,
    async stop() {
      child.kill('SIGTERM');
      await gone;
      await endPortMapper(mapperPort);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Erlang starts it beside the broker, and leaves it running. */
async function endPortMapper(port: number): Promise<void> {
  const ended = spawn('epmd', ['-port', String(port), '-kill'], { stdio: 'ignore' });
  await once(ended, 'exit');
}
