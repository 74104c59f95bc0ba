import { createHash, randomBytes } from 'node:crypto';
import { SecretValue, type Source } from '@keyturn/source';
import type { HeldSession } from '@keyturn/source/contract';
import { redis, setupCommand, type RedisOptions } from '@keyturn/sources/redis';
import { createClient } from 'redis';
import type { RedisServer } from './redis-server.ts';

/** An application's ACL user and Keyturn's own, as documented, with names of their own. */
export interface World {
  readonly server: RedisServer;
  readonly source: Source;
  readonly options: RedisOptions;
  readonly user: string;
  readonly rotator: string;
  /** The value that the application uses at the start. */
  readonly currentValue: SecretValue;
  readonly close: () => Promise<void>;
}

export async function openWorld(server: RedisServer, more: Partial<RedisOptions> = {}): Promise<World> {
  const tag = randomBytes(4).toString('hex');
  const [user, rotator] = [`shop_${tag}`, `keyturn_${tag}`];
  const [password, rotatorPassword] = [newPassword(), newPassword()];
  await server.run('ACL', 'SETUSER', user, 'on', `>${password}`, '~shop:*', '+@all', '-@dangerous');
  await server.run(...setupCommand(rotator).split(' '), `>${rotatorPassword}`);
  const options: RedisOptions = {
    user,
    admin: async () => ({ url: `redis://${rotator}:${rotatorPassword}@127.0.0.1:${server.port}` }),
    template: { host: '127.0.0.1', port: server.port },
    format: 'url',
    ...more,
  };
  return {
    server,
    source: redis(options),
    options,
    user,
    rotator,
    currentValue: valueOf(options, password),
    async close() {
      await server.run('ACL', 'DELUSER', user, rotator, `keyturn:${user}`);
    },
  };
}

function valueOf({ format, user, template: { host, port } }: RedisOptions, password: string): SecretValue {
  if (format === 'password') return new SecretValue(password);
  if (format === 'json') return new SecretValue(JSON.stringify({ host, port, username: user, password }));
  return new SecretValue(`redis://${user}:${password}@${host}:${port}`);
}

/** How a client names itself: what the docs say, written out once more. */
export function nameFor(password: string, client = 'shop'): string {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  return `${client}@${sha256(`keyturn:${sha256(password)}`).slice(0, 12)}`;
}

export interface Login extends HeldSession {
  readonly run: (...words: readonly string[]) => Promise<unknown>;
}

/** Logs in as an application does and stays; `name` replaces the one that tells the password. */
export async function logIn({ user, server }: World, value: SecretValue, name?: string): Promise<Login> {
  const password = passwordIn(value);
  const client = createClient({
    socket: { host: '127.0.0.1', port: server.port, reconnectStrategy: false },
    username: user,
    password,
    name: name ?? nameFor(password),
  });
  client.on('error', () => undefined);
  await client.connect();
  return {
    run: (...words) => client.sendCommand([...words]),
    works: () =>
      client.ping().then(
        () => true,
        () => false,
      ),
    async close() {
      if (client.isOpen) await client.close();
    },
  };
}

export function passwordIn(value: SecretValue): string {
  const text = value.reveal();
  if (text.startsWith('{')) return (JSON.parse(text) as { password: string }).password;
  return text.startsWith('redis') ? decodeURIComponent(new URL(text).password) : text;
}

/** All that the server keeps of ACL users, in memory and on disk. */
export async function usersOf({ server }: World): Promise<readonly string[]> {
  return (await server.run('ACL', 'LIST')) as string[];
}

export function newPassword(): string {
  return randomBytes(18).toString('base64url');
}
