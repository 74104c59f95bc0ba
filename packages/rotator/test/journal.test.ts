import { SecretValue, SourceError } from '@keyturn/source';
import { describe, expect, it } from 'vitest';
import { openJournal, type JournalOptions } from '../src/journal/journal.ts';
import type { GivenOrder } from '../src/order.ts';
import { RotatorError } from '../src/rotator-error.ts';
import { openSetClock } from './fakes/clock.ts';
import { vaultUrl } from './fakes/vault.ts';
import { useJournal } from './journal-world.ts';

const planted = 'planted-value-of-orders-db';
const world = useJournal();
const { newRequest, about, outcome, open, query } = world;

/** Everything that the engine has stored, as text. */
async function journalText(): Promise<string> {
  const tables = await query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_schema in ('dbos', 'keyturn') and table_type = 'BASE TABLE'`,
  );
  const texts = [];
  for (const { name } of tables) texts.push(JSON.stringify(await query(`select * from ${name}`)));
  return texts.join('\n');
}

describe('the journal', () => {
  it('runs a rotation that failed again under the same id, as a second attempt', async () => {
    const request = newRequest();
    let begun = 0;
    const opened = await open(async (durable) => {
      begun += 1;
      return durable.step('issue', async () => {
        if (begun === 1) throw new RotatorError('VAULT_CHANGED', 'Somebody else published.');
        return outcome(request);
      });
    });
    await expect(opened.run(request)).rejects.toMatchObject({ code: 'VAULT_CHANGED' });
    expect(await opened.run(request)).toMatchObject({ id: request.id, outcome: 'closed' });
    expect(await opened.run(request)).toMatchObject({ id: request.id });
    expect(begun).toBe(2);
  });

  it('hands what an operator says to the attempt that runs', async () => {
    const request = newRequest();
    const waiting = Promise.withResolvers<void>();
    let begun = 0;
    const opened = await open(async (durable) => {
      begun += 1;
      if (begun === 1) await durable.step('issue', () => Promise.reject(new RotatorError('SOURCE', 'No.')));
      waiting.resolve();
      const said = await durable.signal<GivenOrder>('operator', 30_000);
      return { ...outcome(request), notChecked: [`${said?.order} ${said?.why}`] };
    });
    await expect(opened.run(request)).rejects.toMatchObject({ code: 'SOURCE' });
    const running = opened.run(request);
    await waiting.promise;
    await opened.tell(request.id, { order: 'roll back', who: 'ann', why: 'it smells', at: 'noon' });
    expect((await running).notChecked).toEqual(['roll back it smells']);
  });

  it('runs the runbook once for two requests at the same time', async () => {
    const request = newRequest();
    let begun = 0;
    const opened = await open(async (durable) => {
      begun += 1;
      return durable.step('issue', async () => outcome(request));
    });
    const both = await Promise.all([opened.run(request), opened.run(request), opened.run(request)]);
    expect(both.map(({ id }) => id)).toEqual([request.id, request.id, request.id]);
    expect(begun).toBe(1);
  });

  it('refuses a second rotator of the same name', async () => {
    await open(async () => Promise.reject(new Error('nothing is run')));
    const second = openJournal({
      url: world.server.url(),
      vault: vaultUrl,
      executorId: 'test',
      rotation: about,
      runbook: async () => Promise.reject(new Error('nothing is run')),
    });
    await expect(second).rejects.toMatchObject({ name: 'RotatorError', code: 'BUSY' });
  });

  it('frees the name when it is closed', async () => {
    await (await open(async () => Promise.reject(new Error('nothing is run')))).close();
    const request = newRequest();
    const opened = await open(async (durable) => durable.step('issue', async () => outcome(request)));
    expect((await opened.run(request)).id).toBe(request.id);
  });

  it('resumes after a restart: what was done is not done again', async () => {
    const request = newRequest();
    const done: string[] = [];
    const reached = Promise.withResolvers<void>();
    let restarted = false;
    const runbook: JournalOptions['runbook'] = async (durable, { id }) => {
      await durable.step('issue', async () => void done.push(`issue ${id}`));
      await durable.step('converge', async () => {
        reached.resolve();
        if (!restarted) await new Promise(() => undefined);
      });
      await durable.step('revoke', async () => void done.push('revoke'));
      return outcome(request);
    };
    const first = await open(runbook);
    void first.run(request).catch(() => undefined);
    await reached.promise;
    await first.close();
    restarted = true;
    const second = await open(runbook);
    expect((await second.run(request)).outcome).toBe('closed');
    expect(done).toEqual([`issue ${request.id}`, 'revoke']);
  });

  it('names the rotation of a secret that is open, whatever the vault says, and none once it has ended', async () => {
    const [failing, request] = [newRequest(), newRequest()];
    const waiting = Promise.withResolvers<void>();
    const opened = await open(async (durable, { id }) => {
      if (id === failing.id) throw new RotatorError('SOURCE', 'No.');
      await durable.step('issue', async () => waiting.resolve());
      await durable.signal('operator', 30_000);
      return outcome(request);
    });
    await expect(opened.run(failing)).rejects.toThrow('No.');
    expect(await opened.unfinished('orders-db')).toEqual([]);
    const running = opened.run(request);
    await waiting.promise;
    expect(await opened.unfinished('orders-db')).toEqual([request]);
    expect(await opened.unfinished('orders')).toEqual([]);
    await opened.tell(request.id, { order: 'proceed', who: 'ann', why: 'enough', at: 'noon' });
    await running;
    expect(await opened.unfinished('orders-db')).toEqual([]);
  });

  it.each<[string, () => Error]>([
    [
      'of a driver, with its whole connection in it',
      () => Object.assign(new Error(`login failed for ${planted}`), { password: planted, code: '28P01' }),
    ],
    [
      'of a source, whose cause holds a value',
      () =>
        new SourceError('FORBIDDEN', 'It lacks a right.', { cause: new Error(planted), hint: 'Grant it.' }),
    ],
    [
      'with a value in a property and in its stack',
      () => Object.assign(new RotatorError('SOURCE', 'No.'), { value: planted, stack: planted }),
    ],
    ['of many errors', () => new AggregateError([new Error(planted)], planted)],
    [
      'that is a TypeError about a value',
      () => new TypeError(`Invalid URL: ${planted}`, { cause: new SecretValue(planted) }),
    ],
  ])('holds of an error %s nothing but code, message and hint of our own', async (_of, error) => {
    const request = newRequest();
    const opened = await open(async (durable) => {
      await durable.step('issue', () => Promise.reject(error()));
      return outcome(request);
    });
    const failure: unknown = await opened.run(request).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ name: 'JournalError' });
    expect(failure).not.toHaveProperty('cause');
    const text = await journalText();
    expect(text).toContain('JournalError');
    expect(text).toContain(request.id);
    expect(text).not.toContain(planted);
    expect(JSON.stringify(world.events)).not.toContain(planted);
  });

  it('tries a step again that failed for a passing reason, and tells', async () => {
    const request = newRequest();
    let tries = 0;
    const opened = await open(async (durable) =>
      durable.step('issue', async () => {
        tries += 1;
        if (tries < 3) throw new SourceError('UNREACHABLE', 'No answer.');
        return outcome(request);
      }),
    );
    expect((await opened.run(request)).outcome).toBe('closed');
    expect(world.events.filter(({ kind }) => kind === 'retrying')).toHaveLength(2);
  });

  it('does not try preflight again: nothing has begun yet', async () => {
    const request = newRequest();
    let tries = 0;
    const opened = await open(async (durable) => {
      await durable.step('preflight', async () => {
        tries += 1;
        throw new SourceError('UNREACHABLE', 'No answer.');
      });
      return outcome(request);
    });
    await expect(opened.run(request)).rejects.toMatchObject({ code: 'UNREACHABLE', passing: true });
    expect(tries).toBe(1);
  });
});

describe('the time for which a failing step is tried again', () => {
  it('counts from its first failure, not from its start', async () => {
    const request = newRequest();
    const clock = openSetClock();
    let tries = 0;
    const opened = await open(
      async (durable) =>
        durable.step('issue', async () => {
          tries += 1;
          if (tries === 1) clock.advance(60_000);
          if (tries < 3) throw new SourceError('UNREACHABLE', 'No answer.');
          return outcome(request);
        }),
      { rotation: (requested) => ({ ...about(requested), clock }) },
    );
    expect((await opened.run(request)).outcome).toBe('closed');
  });
});
