// Started by takeover.test.ts, which kills it: runs a rotation as far as its convergence, which never comes.
import { Client } from 'pg';
import { systemClock } from '../../src/clock.ts';
import { openJournal } from '../../src/journal/journal.ts';
import type { Requested } from '../../src/policy/which-rotation.ts';
import { openWorld, usualPolicy } from '../fakes/world.ts';

const [url = '', executorId = '', text = '{}'] = process.argv.slice(2);
const request = JSON.parse(text) as Requested;
const database = new Client({ connectionString: url });
await database.connect();
const { vault, source, fleet } = openWorld();

const journal = await openJournal({
  url,
  vault: request.vault,
  executorId,
  rotation: (requested) => ({
    ...requested,
    policy: usualPolicy,
    vault: vault.port,
    source: source.port,
    fleet: fleet.port,
    clock: systemClock,
    others: async () => [],
    incarnation: executorId,
    report: () => undefined,
  }),
  runbook: async (run, { id }) => {
    await run.step(
      'issue',
      async () => void (await database.query('insert into done values ($1, $2)', [id, executorId])),
    );
    return run.step('converge', () => {
      process.stdout.write('converging\n');
      return new Promise(() => undefined);
    });
  },
});
await journal.run(request);
