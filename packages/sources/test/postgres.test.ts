import { readFile, writeFile } from 'node:fs/promises';
import { isRefused, SecretValue, SourceError } from '@keyturn/source';
import { postgres, setupStatements } from '@keyturn/sources/postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asApplication, logIn, openWorld, passwordIn, startServer } from './postgres-world.ts';
import type { Server, World } from './postgres-world.ts';

let server: Server;
let world: World;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  world = await openWorld(server);
});
afterEach(() => world.close());

const asSuperuser: Server['asSuperuser'] = (sql) => server.asSuperuser(sql);

async function failure(call: Promise<unknown>): Promise<SourceError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SourceError) return error;
  throw new Error('expected a SourceError', { cause: error });
}

describe('two roles in one owner', () => {
  test('the second role is created when it is missing, and objects of one are the other’s too', async () => {
    const { source, a, b, currentValue } = world;
    await asApplication(currentValue, `create table ${a}_orders (id int)`);
    const { ref, value } = await source.issue('orders@1', a);
    expect(ref).toMatch(new RegExp(`^${b}#[0-9a-f]{12}$`));
    await asApplication(value, `insert into ${a}_orders values (1)`);
    await asApplication(value, `create table ${b}_items (id int)`);
    await asApplication(currentValue, `alter table ${b}_items add column note text`);
    expect(await asApplication(currentValue, `select id from ${a}_orders`)).toEqual([{ id: 1 }]);
  });

  test('the second role gets the settings and the connection limit of the first', async () => {
    const { source, a, b } = world;
    await asSuperuser(`alter role ${a} connection limit 7`);
    await asSuperuser(`alter role ${a} set search_path = "$user", public, "My Schema"`);
    await asSuperuser(`alter role ${a} in database shop set statement_timeout = '7s'`);
    const { value } = await source.issue('orders@1', a);
    const [settings] = await asApplication(
      value,
      `select current_setting('search_path') as path, current_setting('statement_timeout') as timeout,
         (select rolconnlimit from pg_roles where rolname = '${b}') as limit`,
    );
    expect(settings).toEqual({ path: '"$user", public, "My Schema"', timeout: '7s', limit: 7 });
  });

  test('a setting that was taken from the role in use does not come back with the other one', async () => {
    const { source, a, b } = world;
    await asSuperuser(`alter role ${a} set statement_timeout = '7s'`);
    await asSuperuser(`alter role ${a} in database shop set lock_timeout = '3s'`);
    await source.issue('orders@1', a);
    await asSuperuser(`alter role ${a} reset statement_timeout`);
    await asSuperuser(`alter role ${a} in database shop reset lock_timeout`);
    const { value } = await source.issue('orders@1', a);
    const [settings] = await asApplication(
      value,
      `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
         current_setting('role') = '${b}' as "actsAsItself"`,
    );
    expect(settings).toEqual({ statement: '0', lock: '0', actsAsItself: false });
  });

  test('a setting that only a superuser may copy is named with the statement that allows it', async () => {
    const { source, a } = world;
    await asSuperuser(`alter role ${a} set log_min_duration_statement = '1s'`);
    await expect(source.issue('orders@1', a)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      hint: expect.stringContaining('GRANT SET ON PARAMETER log_min_duration_statement') as string,
    });
  });

  test('an idle role that had expired works again', async () => {
    const { source, a, b, owner, rotator } = world;
    await asSuperuser(`create role ${b} login in role ${owner} valid until '2001-01-01'`);
    await asSuperuser(`grant ${b} to ${rotator} with admin option`);
    const { value } = await source.issue('orders@1', a);
    await expect(source.prove(value)).resolves.toBeUndefined();
  });

  test('what people wrote about a role stays in its comment', async () => {
    const { source, a, b, owner, rotator } = world;
    await asSuperuser(`create role ${b} login in role ${owner}`);
    await asSuperuser(`grant ${b} to ${rotator} with admin option`);
    await asSuperuser(`comment on role ${b} is 'Ask Ann''s team.'`);
    const { ref } = await source.issue('orders@1', a);
    await source.revoke(ref);
    const generation = ref.split('#')[1];
    const [row] = await asSuperuser(
      `select shobj_description('${b}'::regrole, 'pg_authid') as comment, rolcanlogin from pg_roles where rolname = '${b}'`,
    );
    expect(row).toEqual({
      comment: `Ask Ann's team. [keyturn ${generation} revoked]`,
      rolcanlogin: false,
    });
  });

  test('concurrent issues for one rotation leave one credential that works', async () => {
    const { source, options, a, currentValue } = world;
    const sources = [source, postgres(options), postgres(options), postgres(options)];
    const issued = await Promise.all(sources.map((one) => one.issue('orders@1', a)));
    expect(new Set(issued.map(({ ref }) => ref)).size).toBe(1);
    const working = await Promise.all(
      issued.map(({ value }) =>
        source.prove(value).then(
          () => true,
          (error: unknown) => !isRefused(error),
        ),
      ),
    );
    expect(working.filter(Boolean)).toHaveLength(1);
    expect(await source.list()).toEqual([a, issued[0]?.ref]);
    await source.prove(currentValue);
  });

  test('sessions survive until revoke, and are told 57P01', async () => {
    const { source, a, currentValue } = world;
    const session = await logIn(currentValue);
    const told = new Promise((resolve) => session.client.once('error', resolve));
    await source.issue('orders@1', a);
    expect(await session.works()).toBe(true);
    await source.revoke(a);
    expect(await told).toMatchObject({ code: '57P01' });
    expect(await session.works()).toBe(false);
  });

  test('revoke ends logins that keep coming while it works', async () => {
    const { source, a, currentValue } = world;
    await source.issue('orders@1', a);
    let revoked = false;
    const clients = Array.from({ length: 8 }, async () => {
      while (!revoked) await logIn(currentValue).catch(() => undefined);
    });
    await source.revoke(a);
    const left = await source.usage(a);
    revoked = true;
    await Promise.all(clients);
    expect(left).toEqual({ sessions: [] });
    expect(await source.usage(a)).toEqual({ sessions: [] });
  });
});

describe('usage', () => {
  test('names each session by application and address, and says since when', async () => {
    const { source, a, currentValue } = world;
    const session = await logIn(currentValue);
    const usage = await source.usage(a);
    await session.close();
    expect(usage).toEqual({
      sessions: [
        { client: expect.stringMatching(/^shop 127\.0\.0\.1:\d+$/), since: expect.stringMatching(/^20.*Z$/) },
      ],
    });
  });

  test('a session that acts as the owner is still counted as its login role’s', async () => {
    const { source, a, currentValue } = world;
    const session = await logIn(currentValue);
    await session.client.query('discard all');
    const usage = await source.usage(a);
    await session.close();
    expect(usage).toHaveProperty('sessions.length', 1);
  });

  test('is unknown once the role was dropped under a living session', async () => {
    const { source, a, currentValue } = world;
    const session = await logIn(currentValue);
    await asSuperuser(`drop owned by ${a}`);
    await asSuperuser(`drop role ${a}`);
    const usage = await source.usage(a);
    const error = await failure(source.revoke(a));
    await asSuperuser(String(error.hint));
    await expect.poll(() => source.usage(a)).toEqual({ sessions: [] });
    await source.revoke(a);
    await session.close();
    expect(usage).toBe('unknown');
    expect(error.code).toBe('UNEXPECTED');
  });
});

describe('no value is told', () => {
  test('to the server’s log, its views or its tables', async () => {
    const { source, a } = world;
    const { value, ref } = await source.issue('orders@1', a);
    const session = await logIn(value);
    const seen = JSON.stringify([
      await asSuperuser('select query from pg_stat_activity'),
      await asSuperuser('select rolname, rolpassword from pg_authid'),
      await asSuperuser('select description from pg_shdescription'),
    ]);
    await source.usage(ref);
    await session.close();
    await source.revoke(ref);
    const log = await server.log();
    expect(log).toContain('SCRAM-SHA-256$4096:');
    expect(seen).toContain('SCRAM-SHA-256$4096:');
    expect(log + seen).not.toContain(passwordIn(value));
  });

  test('by a text that is no login', async () => {
    const { source } = world;
    for (const text of [
      'hunter2',
      '{"password": "hunter2"',
      'postgres://u:hunter2@',
      'postgres://hunter2/db',
    ]) {
      const error = await failure(source.prove(new SecretValue(text)));
      expect(error.code).toBe('MISCONFIGURED');
      expect(error.cause).toBeUndefined();
      expect(error.message + error.hint).not.toContain('hunter2');
    }
  });
});

describe('a right that is lacking is named by the statement that gives it', () => {
  const lacking: Record<string, { take: (world: World) => string; hint: (world: World) => string }> = {
    'to create roles': {
      take: ({ rotator }) => `alter role ${rotator} nocreaterole`,
      hint: ({ rotator }) => `ALTER ROLE "${rotator}" CREATEROLE`,
    },
    'to end sessions': {
      take: ({ rotator }) => `revoke pg_signal_backend from ${rotator}`,
      hint: ({ rotator }) => `GRANT pg_signal_backend TO "${rotator}"`,
    },
    'to see sessions': {
      take: ({ rotator }) => `revoke pg_read_all_stats from ${rotator}`,
      hint: ({ rotator }) => `GRANT pg_read_all_stats TO "${rotator}"`,
    },
    'to manage the owner': {
      take: ({ rotator, owner }) => `revoke ${owner} from ${rotator}`,
      hint: ({ rotator, owner }) =>
        `GRANT "${owner}" TO "${rotator}" WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
    },
    'to manage the role in use': {
      take: ({ rotator, a }) => `revoke ${a} from ${rotator}`,
      hint: ({ rotator, a }) => `GRANT "${a}" TO "${rotator}" WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
    },
    'to manage a second role that somebody else created': {
      take: ({ b, owner }) => `create role ${b} login in role ${owner}`,
      hint: ({ rotator, b }) => `GRANT "${b}" TO "${rotator}" WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
    },
  };
  for (const [right, { take, hint }] of Object.entries(lacking)) {
    test(`the right ${right}`, async () => {
      const { source, a, b } = world;
      await asSuperuser(take(world));
      const before = await source.list();
      const error = await failure(source.issue('orders@1', a));
      expect(error).toMatchObject({ code: 'FORBIDDEN', hint: hint(world) });
      expect(await source.list()).toEqual(before);
      await asSuperuser(String(error.hint));
      const { ref, value } = await source.issue('orders@1', a);
      await source.prove(value);
      await source.revoke(ref);
      await source.revoke(a);
      expect(await source.list()).toEqual([]);
      expect(ref).toContain(b);
    });
  }

  test('revoke and usage name what they lack, too', async () => {
    const { source, a, rotator } = world;
    await asSuperuser(`revoke ${a} from ${rotator}`);
    expect(await failure(source.revoke(a))).toMatchObject({ code: 'FORBIDDEN' });
    await asSuperuser(`revoke pg_read_all_stats from ${rotator}`);
    expect(await failure(source.usage(a))).toMatchObject({
      code: 'FORBIDDEN',
      hint: `GRANT pg_read_all_stats TO "${rotator}"`,
    });
  });

  test('the rotator role gets nothing of what the application may do', async () => {
    const { options, a, source, currentValue } = world;
    await asApplication(currentValue, `create table ${a}_secrets as select 1 as id`);
    await source.issue('orders@1', a);
    const { user, password } = await options.admin();
    const rotator = new SecretValue(`postgres://${user}:${String(password)}@127.0.0.1:${server.port}/shop`);
    await expect(asApplication(rotator, `select * from ${a}_secrets`)).rejects.toMatchObject({
      code: '42501',
    });
  });
});

describe('a set-up that rotation can’t work with', () => {
  test('is refused at once when the roles’ names can’t work', () => {
    const { options, a, b, owner } = world;
    for (const roles of [
      [a, a],
      [a, owner],
      [a, ''],
      [a, 'x'.repeat(64)],
    ] as const)
      expect(() => postgres({ ...options, roles })).toThrow(
        expect.objectContaining({ code: 'MISCONFIGURED', hint: expect.any(String) }),
      );
    expect(() => postgres({ ...options, roles: [a, b] })).not.toThrow();
  });

  test('names the statement that creates a missing owner', async () => {
    const { options, a } = world;
    const source = postgres({ ...options, owner: `${a}_nobody` });
    expect(await failure(source.issue('orders@1', a))).toMatchObject({
      code: 'MISCONFIGURED',
      hint: `CREATE ROLE "${a}_nobody" NOLOGIN`,
    });
  });

  test('names the statement that creates a first role when neither exists', async () => {
    const { options, owner } = world;
    const source = postgres({ ...options, roles: ['nobody_a', 'nobody_b'] });
    expect(await source.list()).toEqual([]);
    expect(await failure(source.issue('orders@1', undefined))).toMatchObject({
      code: 'MISCONFIGURED',
      hint: `CREATE ROLE "nobody_a" LOGIN IN ROLE "${owner}"`,
    });
  });

  test('is mended, statement by statement, where the role in use has rights of its own', async () => {
    const { source, a, owner, currentValue } = world;
    await asSuperuser(`revoke ${owner} from ${a}`);
    await asSuperuser(`alter role ${a} reset role`);
    await asSuperuser(`create table ${a}_own (id int)`);
    await asSuperuser(`alter table ${a}_own owner to ${a}`);
    const hints: string[] = [];
    for (;;) {
      const error = await source.issue('orders@1', a).catch((thrown: unknown) => thrown as SourceError);
      if (!(error instanceof SourceError)) break;
      expect(error.code).toBe('MISCONFIGURED');
      hints.push(String(error.hint));
      await asSuperuser(String(error.hint));
      // At no moment does the running application notice anything.
      await asApplication(currentValue, `select * from ${a}_own`);
    }
    expect(hints).toEqual([
      `GRANT "${owner}" TO "${a}"`,
      `REASSIGN OWNED BY "${a}" TO "${owner}"`,
      `ALTER ROLE "${a}" SET role = '${owner}'`,
    ]);
  });

  test('is refused where the role in use holds grants that the owner may lack', async () => {
    const { source, a } = world;
    await asSuperuser(`alter role ${a} reset role`);
    await asSuperuser(`create table ${a}_granted (id int)`);
    await asSuperuser(`grant select on ${a}_granted to ${a}`);
    const error = await failure(source.issue('orders@1', a));
    await asSuperuser(`drop table ${a}_granted`);
    expect(error).toMatchObject({
      code: 'MISCONFIGURED',
      message: expect.stringContaining('grants of its own (in shop)'),
    });
  });

  test('is refused when Keyturn would log in as a role that it is to rotate', async () => {
    const { options, a, currentValue } = world;
    const admin = async () => ({ connectionString: currentValue.reveal() });
    const error = await failure(postgres({ ...options, admin }).issue('orders@1', a));
    expect(error).toMatchObject({ code: 'MISCONFIGURED', message: expect.stringContaining(a) });
  });
});

describe('the credential in use is never touched', () => {
  test('where what is said to be in use is not what the server holds', async () => {
    const { source, a } = world;
    const one = await source.issue('orders@1', a);
    await source.revoke(a);
    const two = await source.issue('orders@2', one.ref);
    await source.revoke(one.ref);
    for (const outdated of [a, one.ref]) {
      const error = await failure(source.issue('orders@1', outdated));
      expect(error).toMatchObject({ code: 'AMBIGUOUS', hint: expect.stringContaining('keyturn-credential') });
    }
    await source.prove(two.value);
  });

  test('where it is named by something that is none of the roles', async () => {
    const { source, a, currentValue } = world;
    for (const stranger of [`${a}x`, `${a}#`, `${a}#nothex`, ''])
      expect(await failure(source.issue('orders@1', stranger))).toMatchObject({ code: 'MISCONFIGURED' });
    await source.prove(currentValue);
  });

  test('by a repetition of an issue whose rotation is long over', async () => {
    const { source, a } = world;
    const { value } = await source.issue('orders@1', a);
    await source.revoke(a);
    expect(await failure(source.issue('orders@1', a))).toMatchObject({ code: 'AMBIGUOUS' });
    await source.prove(value);
  });
});

describe('prove', () => {
  test('runs the probe as the application, and a probe without the right is no refusal', async () => {
    const { options, a, owner } = world;
    await asSuperuser(`create table ${a}_closed (id int)`);
    const source = postgres({ ...options, probe: `select id from ${a}_closed` });
    const { value } = await source.issue('orders@1', a);
    const error = await failure(source.prove(value));
    await asSuperuser(`grant select on ${a}_closed to ${owner}`);
    await source.prove(value);
    await asSuperuser(`drop table ${a}_closed`);
    expect(error).toMatchObject({ code: 'MISCONFIGURED', hint: expect.stringContaining('owner role') });
  });

  test('does not know when no connection is free', async () => {
    const { source, a } = world;
    await asSuperuser(`alter role ${a} connection limit 0`);
    const { value } = await source.issue('orders@1', a);
    expect(await failure(source.prove(value))).toMatchObject({ code: 'UNREACHABLE' });
  });

  test('does not know when the probe does not come back in time', async () => {
    const { options, a } = world;
    const source = postgres({ ...options, probe: 'select pg_sleep(60)', statementTimeoutMs: 300 });
    const { currentValue } = world;
    const started = performance.now();
    expect(await failure(source.prove(currentValue))).toMatchObject({ code: 'UNREACHABLE' });
    expect(performance.now() - started).toBeLessThan(10_000);
    await asSuperuser(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${a}'`);
  });

  test('is not deceived by a server that asks for no password', async () => {
    const { source, a, currentValue } = world;
    const error = await withRule(`host all ${a} 127.0.0.1/32 trust`, () =>
      failure(source.prove(currentValue)),
    );
    expect(error).toMatchObject({ code: 'MISCONFIGURED', hint: expect.stringContaining('scram-sha-256') });
  });

  test('does not take a closed door for a refused credential', async () => {
    const { source, a, currentValue } = world;
    const error = await withRule(`host all ${a} 127.0.0.1/32 reject`, () =>
      failure(source.prove(currentValue)),
    );
    expect(error).toMatchObject({ code: 'MISCONFIGURED', hint: expect.stringContaining('pg_hba.conf') });
  });

  test('and usage do not count prove itself', async () => {
    const { source, a, currentValue } = world;
    await source.prove(currentValue);
    expect(await source.usage(a)).toEqual({ sessions: [] });
  });
});

test('what the application’s address, database and parameters hold is written into the value', async () => {
  const { options, a } = world;
  const template = { host: '::1', port: 5432, database: 'a/b c', parameters: { sslmode: 'require' } };
  const url = (await postgres({ ...options, template }).issue('orders@1', a)).value.reveal();
  expect(url).toMatch(/^postgres:\/\/\w+:[\w-]{43}@\[::1\]:5432\/a%2Fb%20c\?sslmode=require$/);
  const json = await postgres({ ...options, template, format: 'json' }).issue('orders@1', a);
  expect(JSON.parse(json.value.reveal())).toEqual({
    host: '::1',
    port: 5432,
    database: 'a/b c',
    user: world.b,
    password: expect.stringMatching(/^[\w-]{43}$/),
    sslmode: 'require',
  });
});

test('a login of Keyturn’s own that is refused is FORBIDDEN, not REFUSED', async () => {
  const { options } = world;
  const admin = async () => ({ ...(await options.admin()), password: 'wrong' });
  expect(await failure(postgres({ ...options, admin }).list())).toMatchObject({ code: 'FORBIDDEN' });
});

/** Does something while a line stands before all others of pg_hba.conf. */
async function withRule<T>(line: string, action: () => Promise<T>): Promise<T> {
  const [{ path }] = (await asSuperuser("select current_setting('hba_file') as path")) as [{ path: string }];
  const before = await readFile(path, 'utf8');
  const write = async (text: string) => {
    const loadedAt = 'select pg_conf_load_time()::text as at';
    const [was] = await asSuperuser(loadedAt);
    await writeFile(path, text);
    await asSuperuser('select pg_reload_conf()');
    await expect.poll(async () => (await asSuperuser(loadedAt))[0]).not.toEqual(was);
  };
  await write(`${line}\n${before}`);
  try {
    return await action();
  } finally {
    await write(before);
  }
}

test('the README’s SQL is what setupStatements returns', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const written = /```sql\n(?<sql>CREATE[^`]*?)```/.exec(readme)?.groups?.['sql'];
  const statements = setupStatements({
    owner: 'orders_owner',
    roles: ['orders_a', 'orders_b'],
    rotator: 'keyturn',
    database: 'orders',
  });
  expect(written).toBe(statements.map((sql) => `${sql};\n`).join(''));
});
