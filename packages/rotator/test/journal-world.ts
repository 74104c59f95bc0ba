import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { RotationEvent } from '../src/events.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../src/journal/embedded-postgres.ts';
import { openJournal, type Journal, type JournalOptions } from '../src/journal/journal.ts';
import type { Requested } from '../src/policy/which-rotation.ts';
import { rotationId, type Outcome, type Rotation } from '../src/rotation.ts';
import { vaultUrl } from './fakes/vault.ts';
import { openWorld, usualPolicy } from './fakes/world.ts';

/** A real journal on a server of its own; what a rotation would touch is fake. */
export interface JournalWorld {
  readonly server: EmbeddedPostgres;
  /** What the rotations of this test have told. */
  readonly events: readonly RotationEvent[];
  /** A rotation of its own for each test: the journal never forgets one. */
  newRequest(): Requested;
  about(request: Requested): Rotation;
  outcome(request: Requested): Outcome;
  /** Closed again after the test. */
  open(runbook: JournalOptions['runbook'], options?: Partial<JournalOptions>): Promise<Journal>;
  query<Row>(text: string): Promise<Row[]>;
}

/** To be called where the tests of a file are described. */
export function useJournal(): JournalWorld {
  let dataFolder: string;
  let server: EmbeddedPostgres;
  let journal: Journal | undefined;
  let events: RotationEvent[] = [];
  let requests = 0;

  beforeAll(async () => {
    dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-journal-'));
    server = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' }, endsWithProcess: true });
  });
  afterAll(async () => {
    await server.stop();
    await rm(dataFolder, { recursive: true, force: true });
  });
  beforeEach(() => {
    events = [];
  });
  afterEach(async () => {
    await journal?.close();
    journal = undefined;
  });

  function about(request: Requested): Rotation {
    const { vault, source, fleet } = openWorld();
    return {
      ...request,
      policy: { ...usualPolicy, retryForMs: 1_000 },
      vault: vault.port,
      source: source.port,
      fleet: fleet.port,
      clock: systemClock,
      others: async () => [],
      incarnation: 'test',
      report: (event) => void events.push(event),
    };
  }

  return {
    get server() {
      return server;
    },
    get events() {
      return events;
    },
    newRequest() {
      requests += 1;
      const from = `version${requests}`;
      return { id: rotationId('orders-db', from), vault: vaultUrl, secret: 'orders-db', from };
    },
    about,
    outcome: ({ id, secret, from }) => ({
      id,
      secret,
      outcome: 'closed',
      version: 'next',
      revokedVersion: from,
      oldCredentialRefused: true,
      overlapMs: 1,
      convergedMs: 1,
      notChecked: [],
    }),
    async open(runbook, options = {}) {
      const usual = { url: server.url(), vault: vaultUrl, executorId: 'test', rotation: about };
      journal = await openJournal({ ...usual, runbook, ...options });
      return journal;
    },
    async query<Row>(text: string) {
      const client = new Client({ connectionString: server.url() });
      await client.connect();
      try {
        return (await client.query(text)).rows as Row[];
      } finally {
        await client.end();
      }
    },
  };
}
