import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startApplication, type Application, type ApplicationSettings } from './application.ts';
import { cut, refused, soon, startLoad } from './load.ts';
import { openStage, type Stage } from './stage.ts';

/** What every example shows, each in a process of its own, with a real database and the local Key Vault. */
export function everyExample(settings: ApplicationSettings): void {
  let stage: Stage;
  let app: Application;

  beforeAll(async () => void (stage = await openStage()));
  afterAll(() => stage[Symbol.asyncDispose]());
  beforeEach(async () => void (app = await startApplication(stage, settings)));
  afterEach(() => app[Symbol.asyncDispose]());

  const statusOf = async (path: string): Promise<number> => (await fetch(`${app.url}${path}`)).status;

  test('a rotation under load: no request fails, and the old role is refused', async () => {
    const load = startLoad(`${app.url}/orders`);
    await load.serves(50);
    const old = stage.current;
    expect(await stage.sessionsOf(old.role)).toBeGreaterThan(0);
    expect(await stage.rotate()).toEqual({ drained: true, oldAnswer: '28000' });
    await load.serves(50);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await stage.sessionsOf(stage.current.role)).toBeGreaterThan(0);
    for (const { url } of [old, stage.current]) expect(app.output()).not.toContain(new URL(url).password);
  });

  test('it serves and is healthy while the vault is away', async () => {
    await stage.withoutVault(async () => {
      expect([await statusOf('/orders'), await statusOf('/health')]).toEqual([200, 200]);
    });
  });

  test('it is unhealthy while the database refuses it, and recovers', async () => {
    const { role } = stage.current;
    expect(await statusOf('/health')).toBe(200);
    await stage.setLogin(role, false);
    await soon(async () => expect(await statusOf('/health')).toBe(503));
    await stage.setLogin(role, true);
    await soon(async () => expect(await statusOf('/health')).toBe(200));
  });

  test('SIGTERM: it takes nothing new, serves what is under way, and leaves no session', async () => {
    const { role } = stage.current;
    const orders = await stage.holdOrders();
    const underWay = fetch(`${app.url}/orders`);
    try {
      await soon(async () => expect(await stage.waitingForOrders()).toBe(1));
      app.signal('SIGTERM');
      await soon(async () => expect(await statusOf('/health').catch(() => 'refused')).toBe('refused'));
    } finally {
      await orders.release();
    }
    const response = await underWay;
    expect([response.status, await response.json()]).toMatchObject([
      200,
      [{ item: 'tea' }, { item: 'coffee' }],
    ]);
    expect(await app.exited).toBe(0);
    await soon(async () => expect(await stage.sessionsOf(role)).toBe(0));
  });

  test('SIGTERM under load: it ends, and answers nothing with an error', async () => {
    const load = startLoad(`${app.url}/orders`);
    await load.serves(50);
    app.signal('SIGTERM');
    await soon(() => expect(load.failures).toContain(refused));
    await load.stop();
    // A pool that nobody ends keeps the process until its connections have been idle for 10 s.
    expect(await Promise.race([app.exited, sleep(8_000, 'still there', { ref: false })])).toBe(0);
    expect(load.failures.filter((failure) => failure !== refused && failure !== cut)).toEqual([]);
  });
}
