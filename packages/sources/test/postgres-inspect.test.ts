import type { SourceFinding } from '@keyturn/source';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { logIn, openWorld, startServer, type Server, type World } from './postgres-world.ts';

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

async function found(
  about: SourceFinding['about'],
  current: string | undefined = world.a,
): Promise<SourceFinding[]> {
  const inspection = await world.source.inspect?.({ current, rotations: [] });
  return (inspection?.findings ?? []).filter((one) => one.about === about);
}

describe('a look ahead at PostgreSQL', () => {
  it('is content with the documented set-up', async () => {
    const { a, b, owner } = world;
    const marks = [...(await found('rights')), ...(await found('parity'))];
    expect(marks).toMatchObject([
      { mark: 'ok', says: expect.stringContaining(`manage ${owner}, ${a}`) },
      { mark: 'ok', says: expect.stringContaining(`${b} does not exist yet`) },
    ]);
  });

  it('names every right that is lacking, each with the statement that gives it', async () => {
    const { a, rotator } = world;
    await server.asSuperuser(`revoke pg_signal_backend from ${rotator}; revoke ${a} from ${rotator}`);
    const rights = await found('rights');
    expect(rights.map(({ mark }) => mark)).toEqual(['stop', 'stop']);
    for (const { hint = '' } of rights) await server.asSuperuser(hint);
    expect(await found('rights')).toMatchObject([{ mark: 'ok' }]);
  });

  it('stops where issue would refuse, for the same reason', async () => {
    const { a, owner, source } = world;
    await server.asSuperuser(`revoke ${owner} from ${a}`);
    const [finding] = await found('parity');
    const refusal = await source.issue('orders@1', a).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ message: finding?.says, hint: finding?.hint });
    expect(finding?.mark).toBe('stop');
  });

  it('says which settings issue is going to copy', async () => {
    const { a, b, source } = world;
    const { ref } = await source.issue('orders@1', a);
    await source.revoke(ref);
    await server.asSuperuser(`alter role ${a} set statement_timeout = '7s'`);
    const [finding] = await found('parity');
    expect(finding).toMatchObject({
      mark: 'ok',
      says: expect.stringContaining("SET statement_timeout = '7s'"),
    });
    await source.issue('orders@2', a);
    expect((await found('parity'))[0]?.says).not.toContain('once issue has run');
    expect(finding?.says).toContain(b);
  });

  it('warns of memberships and attributes that the other login will not have', async () => {
    const { a, b } = world;
    await server.asSuperuser(`grant pg_read_all_data to ${a}; alter role ${a} createdb`);
    expect(await found('parity')).toMatchObject([
      { mark: 'warn', says: `${a} is a member of pg_read_all_data, ${b} is not` },
      { mark: 'warn', says: `${a} has CREATEDB, ${b} has not` },
    ]);
  });

  it('counts the sessions that the revocation is going to end', async () => {
    const session = await logIn(world.currentValue);
    expect(await found('revocation')).toMatchObject([
      { mark: 'ok', says: expect.stringContaining('now it has 1') },
    ]);
    await session.close();
  });

  it('does not guess which of two roles is in use', async () => {
    const { a, b, source } = world;
    await source.issue('orders@1', a);
    const inspection = await source.inspect?.({ current: undefined, rotations: [] });
    expect(inspection?.findings.at(-1)).toMatchObject({ mark: 'stop', says: expect.stringContaining(b) });
  });

  it('does not claim a credential that people gave back after it was ended', async () => {
    const { a, b, source } = world;
    const { ref } = await source.issue('orders@1', a);
    const claims = async () =>
      (await source.inspect?.({ current: a, rotations: ['orders@1'] }))?.issued.map((one) => one.ref);
    expect(await claims()).toEqual([ref]);
    await source.revoke(ref);
    await server.asSuperuser(`alter role ${b} login password 'by-hand'`);
    expect(await source.list()).toContain(ref);
    expect(await claims()).toEqual([]);
  });
});
