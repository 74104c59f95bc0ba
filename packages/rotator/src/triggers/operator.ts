import type { RotationId, Source } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import type { RotationRecord } from '../events.ts';
import { statusAfter } from '../history/status-after.ts';
import { tell } from '../journal/changes.ts';
import type { Database } from '../journal/database.ts';
import type { Journal } from '../journal/journal.ts';
import type { Operations, RotationStatus, SecretStatus } from '../operations.ts';
import { isSame, type By, type Order, type Request } from '../order.ts';
import type { SecretPolicy } from '../policy/secret-policy.ts';
import { whichRotation, type Requested } from '../policy/which-rotation.ts';
import type { Outcome } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import type { Vault } from '../vault.ts';
import { foresee } from './foresee.ts';

/** One secret that can be rotated, and where it is issued. */
export interface ConfiguredSecret {
  readonly policy: SecretPolicy;
  readonly source: Source;
}

/** What a rotator knows of a secret besides its rotations. */
export type Outlook = Pick<
  SecretStatus,
  'version' | 'createdAt' | 'expiresAt' | 'dueAt' | 'dueBecause' | 'failure'
>;

export interface Operator extends Operations {
  /** The rotation of a secret that is under way, if there is one. */
  underWay(secret: string): Promise<RotationId | undefined>;
  /**
   * The same as `start`, but nothing happens unless the rotation replaces this version: whoever decided that it is
   * time looked at that one, and the vault may have gone on since.
   */
  startFor(version: string, request: { readonly secret: string; readonly by: By }): Promise<void>;
  /** The same as `start`, and resolves when the rotation has closed. */
  rotate(request: { readonly secret: string } & Partial<By>): Promise<Outcome>;
}

/** All that starts a rotation or says something to one meets here, whoever it comes from. */
export function openOperator(at: {
  readonly vault: Vault;
  readonly names: readonly string[];
  /** Throws `UNKNOWN_SECRET`. */
  readonly configured: (secret: string) => ConfiguredSecret;
  readonly journal: Journal;
  readonly database: Pick<Database, 'pool' | 'history' | 'registry'>;
  readonly clock: Clock;
  readonly record: (record: RotationRecord) => void;
  readonly outlook: (secret: string) => Outlook;
}): Operator {
  const { vault, names, configured, journal, database, clock, outlook } = at;
  const { history } = database;
  const now = (): string => new Date(clock.now()).toISOString();

  const requestedRecord = ({ id }: Requested, request: Request): RotationRecord => ({
    kind: 'requested',
    request,
    rotation: id,
    at: now(),
  });

  /** Joins the rotation that is open, resumes one that stopped, or starts one: the vault says which it is. */
  async function which(secret: string, request: Request): Promise<Requested> {
    configured(secret);
    const [unfinished] = await journal.unfinished(secret);
    if (unfinished) return unfinished;
    const current = await vault.current(secret);
    const versions = await vault.versions(secret);
    return { ...whichRotation({ vault: vault.url, secret, current, versions }), request };
  }

  /** Who joins what is under way is not noted: what it was asked for first is its request. */
  function note(requested: Requested, request: Request): void {
    if (requested.request === request) at.record(requestedRecord(requested, request));
  }

  function status(secret: string, latest: readonly RotationStatus[]): SecretStatus {
    const open = latest.find(({ endedAt }) => endedAt === undefined);
    const last = latest.find(({ endedAt }) => endedAt !== undefined);
    return {
      secret,
      source: configured(secret).source.kind,
      ...outlook(secret),
      ...(open ? { open } : {}),
      ...(last ? { last } : {}),
    };
  }

  async function rotation(id: string): Promise<RotationStatus> {
    const found = await history.rotation(id);
    if (found) return found;
    throw new RotatorError('UNKNOWN_ROTATION', `There is no rotation ${id}.`, {
      hint: 'keyturn history lists them.',
    });
  }

  async function stillOpen(id: string): Promise<RotationStatus> {
    const found = await rotation(id);
    if (found.endedAt === undefined) return found;
    throw new RotatorError('NOT_OPEN', `The rotation ${id} has ended: ${found.state}.`, {
      hint: 'Nothing to do. Start a new one if you need to.',
    });
  }

  async function say(id: string, order: Order | 'approve', by: By): Promise<void> {
    await journal.tell(id, { order, ...by, at: now() });
    // Whoever runs it would hear it within a minute; this way it is at once.
    await database.pool.query(`select ${tell('order')}`).catch(() => undefined);
  }

  return {
    underWay: async (secret) => (await journal.unfinished(secret))[0]?.id,
    async secrets() {
      const latest = await history.latest();
      return names.map((secret) => status(secret, latest.get(secret) ?? []));
    },
    async secret(name) {
      configured(name);
      return status(name, await history.rotations({ secret: name, limit: 2 }));
    },
    foresee: async (name) =>
      foresee({
        configured: configured(name),
        vault,
        unfinished: async (secret) => (await journal.unfinished(secret))[0],
        instances: (secret) => database.registry.instances(secret),
      }),
    rotations: (of) => history.rotations(of),
    rotation,
    async story(id) {
      await rotation(id);
      return history.story(id);
    },
    async start({ secret, by, compromised = false }) {
      const request = { ...by, at: now(), ...(compromised ? { compromised } : {}) };
      const requested = await which(secret, request);
      note(requested, request);
      await journal.start(requested);
      return (
        (await history.rotation(requested.id)) ?? statusAfter(undefined, requestedRecord(requested, request))
      );
    },
    async startFor(version, { secret, by }) {
      const request = { ...by, at: now() };
      const requested = await which(secret, request);
      if (requested.from !== version) return;
      note(requested, request);
      await journal.start(requested);
    },
    async rotate({ secret, who = 'keyturn rotate', why = 'it was asked for' }) {
      const request = { who, why, at: now() };
      const requested = await which(secret, request);
      note(requested, request);
      return journal.run(requested);
    },
    async order(id, order, by) {
      const { state } = await stillOpen(id);
      if (state === 'awaiting approval' && order !== 'abort')
        throw new RotatorError('NOT_OPEN', `The rotation ${id} waits for approval; nothing was done yet.`, {
          hint: 'Approve it, or abort it.',
        });
      await say(id, order, by);
    },
    async approve(id, by) {
      const { state, requested } = await stillOpen(id);
      if (state !== 'awaiting approval')
        throw new RotatorError('NOT_OPEN', `The rotation ${id} waits for no approval.`, {
          hint: 'Nothing to do.',
        });
      if (isSame(requested, by))
        throw new RotatorError('NOT_ALLOWED', `${by.who} asked for the rotation ${id}.`, {
          hint: 'Somebody else has to approve it.',
        });
      await say(id, 'approve', by);
    },
    watch: (listener) => history.watch(listener),
    async ready() {
      const answers = await database.pool.query('select 1').then(
        () => true,
        () => false,
      );
      return { ready: answers, problems: answers ? [] : ["the journal's database does not answer"] };
    },
  };
}
