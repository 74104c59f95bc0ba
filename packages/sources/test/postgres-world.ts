import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { SecretValue, type Source } from '@keyturn/source';
import type { HeldSession } from '@keyturn/source/contract';
import { postgres, setupStatements, type PostgresOptions } from '@keyturn/sources/postgres';
import { Client } from 'pg';

/** A real server that logs whatever it may log. */
export interface Server {
  readonly port: number;
  readonly asSuperuser: <T = unknown>(sql: string) => Promise<T[]>;
  readonly log: () => Promise<string>;
  readonly stop: () => Promise<void>;
}

const database = 'shop';

export async function startServer(): Promise<Server> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-sources-'));
  const server = await startEmbeddedPostgres({
    dataFolder,
    settings: { fsync: 'off', log_statement: 'all', log_min_duration_statement: '0', log_connections: 'all' },
  });
  await query(server.url(), `create database ${database}`);
  await query(server.url(), `revoke connect on database ${database} from public`);
  return {
    port: server.port,
    asSuperuser: (sql) => query(server.url(database), sql),
    log: () => readFile(join(dataFolder, 'postgres.log'), 'utf8'),
    async stop() {
      await server.stop();
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

/** An application's database, set up by the documented statements, with roles of its own. */
export interface World {
  readonly server: Server;
  readonly source: Source;
  readonly options: PostgresOptions;
  /** The names of the roles. */
  readonly a: string;
  readonly b: string;
  readonly owner: string;
  readonly rotator: string;
  /** The value that the application uses at the start: a login as role a. */
  readonly currentValue: SecretValue;
  readonly close: () => Promise<void>;
}

export async function openWorld(server: Server, more: Partial<PostgresOptions> = {}): Promise<World> {
  const tag = randomBytes(4).toString('hex');
  const [a, b, owner, rotator] = ['a', 'b', 'owner', 'keyturn'].map((part) => `shop_${tag}_${part}`) as [
    string,
    string,
    string,
    string,
  ];
  const { asSuperuser } = server;
  const [password, rotatorPassword] = [newPassword(), newPassword()];
  const statements = [
    ...setupStatements({ owner, roles: [a, b], rotator, database }),
    `alter role ${a} password '${password}'`,
    `alter role ${rotator} password '${rotatorPassword}'`,
    `grant create on schema public to ${owner}`,
  ];
  await asSuperuser(statements.join(';'));
  const login = { host: '127.0.0.1', port: server.port, database };
  const options: PostgresOptions = {
    roles: [a, b],
    owner,
    admin: async () => ({ ...login, user: rotator, password: rotatorPassword }),
    template: login,
    format: 'url',
    ...more,
  };
  return {
    server,
    source: postgres(options),
    options,
    a,
    b,
    owner,
    rotator,
    currentValue: new SecretValue(`postgres://${a}:${password}@127.0.0.1:${server.port}/${database}`),
    async close() {
      const roles = [b, a, rotator, owner];
      const exist = await asSuperuser<{ name: string }>(
        `select rolname as name from pg_roles where rolname in ('${roles.join("', '")}')`,
      );
      const names = exist.map(({ name }) => name).join(', ');
      if (names !== '') await asSuperuser(`drop owned by ${names} cascade`);
      if (names !== '') await asSuperuser(`drop role ${names}`);
    },
  };
}

/** All that the server keeps of the world's roles: passwords, marks, memberships, settings, grants. */
export async function stateOf({ server, a, b, owner, rotator }: World): Promise<unknown> {
  const names = `('${[a, b, owner, rotator].join("', '")}')`;
  return server.asSuperuser(
    `select auth.*, shobj_description(auth.oid, 'pg_authid') as comment,
       array(select m::text from pg_auth_members m where m.member = auth.oid or m.roleid = auth.oid order by 1) as members,
       array(select s::text from pg_db_role_setting s where s.setrole = auth.oid order by 1) as settings,
       array(select d::text from pg_shdepend d where d.refobjid = auth.oid order by 1) as depends
     from pg_authid auth where rolname in ${names} order by rolname`,
  );
}

/** Logs in as an application does and stays. */
export async function logIn(value: SecretValue): Promise<HeldSession & { readonly client: Client }> {
  const client = new Client(configOf(value));
  client.on('error', () => undefined);
  await client.connect();
  return {
    client,
    works: () =>
      client.query('select 1').then(
        () => true,
        () => false,
      ),
    close: () => client.end().catch(() => undefined),
  };
}

/** Runs one statement as the application. */
export async function asApplication<T = unknown>(value: SecretValue, sql: string): Promise<T[]> {
  const session = await logIn(value);
  try {
    return (await session.client.query(sql)).rows as T[];
  } finally {
    await session.close();
  }
}

export function passwordIn(value: SecretValue): string {
  return configOf(value).password;
}

function configOf(value: SecretValue): { password: string; application_name?: string } {
  const text = value.reveal();
  if (text.startsWith('{')) return JSON.parse(text) as { password: string };
  const url = new URL(text);
  return {
    host: url.hostname,
    port: Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    application_name: url.searchParams.get('application_name') ?? 'shop',
  } as { password: string };
}

function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

async function query<T>(url: string, sql: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}
