import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rotationId } from '../src/rotation.ts';
import { decide, type Decision, type VaultEventFacts } from '../src/triggers/on-vault-event.ts';
import type { VaultEvent } from '../src/triggers/vault-event.ts';

const dayMs = 86_400_000;

function about(kind: VaultEvent['kind'], version = 'v1'): VaultEvent {
  return { kind, vault: 'https://orders.vault.azure.net', secret: 'orders-db', version, at: 0, eventId: 'e' };
}

const usual: VaultEventFacts = { validityMs: 90 * dayMs, current: 'v1' };

const says = (action: Decision['action'], reason: string): Decision => ({
  action,
  reason: expect.stringContaining(reason) as string,
});

describe('a near expiry', () => {
  it('starts a rotation', () => {
    expect(decide(about('near expiry'), usual)).toEqual(says('rotate', 'v1 nears its expiry'));
  });

  it.each<[string, Partial<VaultEventFacts>, string]>([
    ['of a version that is no longer current', { current: 'v2' }, 'outdated'],
    ['of a secret whose validity is 30 days', { validityMs: 30 * dayMs }, '30.0 days'],
    ['inside an open rotation', { open: rotationId('orders-db', 'v1') }, 'joins the rotation orders-db@v1'],
  ])('%s starts nothing', (_what, facts, reason) => {
    expect(decide(about('near expiry'), { ...usual, ...facts })).toEqual(says('ignore', reason));
  });

  it('outside of the maintenance windows is left to the schedule', () => {
    const waits = 'it waits for the maintenance window that opens at 2026-03-21T21:00Z';
    expect(decide(about('near expiry'), { ...usual, waits })).toEqual(says('defer', waits));
    const open = rotationId('orders-db', 'v1');
    expect(decide(about('near expiry'), { ...usual, waits, open })).toEqual(says('ignore', 'it joins'));
    expect(decide(about('expired'), { ...usual, waits }).action).toBe('alarm');
    expect(decide(about('new version'), { ...usual, waits }).action).toBe('announce');
  });

  it('of a secret that is valid for a little more than 30 days starts a rotation', () => {
    expect(decide(about('near expiry'), { ...usual, validityMs: 30 * dayMs + 1 }).action).toBe('rotate');
  });
});

describe('a new version', () => {
  it('that somebody set by hand is announced, however short its validity', () => {
    for (const validityMs of [dayMs, 90 * dayMs])
      expect(decide(about('new version'), { ...usual, validityMs })).toEqual(
        says('announce', 'not published'),
      );
  });

  it('that a rotation published is not: the rotation announces it', () => {
    const publishedBy = rotationId('Orders-DB', 'v0');
    expect(decide(about('new version'), { ...usual, publishedBy })).toEqual(says('ignore', 'Orders-DB@v0'));
  });

  it('with a tag that was copied from another secret is announced', () => {
    const publishedBy = rotationId('billing-db', 'v0');
    expect(decide(about('new version'), { ...usual, publishedBy }).action).toBe('announce');
  });

  it('that is no longer the newest is not announced: it would lead back', () => {
    expect(decide(about('new version'), { ...usual, current: 'v2' })).toEqual(says('ignore', 'outdated'));
  });
});

describe('an expiry', () => {
  it('of the current version is an alarm, also while it is being rotated', () => {
    expect(decide(about('expired'), usual)).toEqual(says('alarm', 'has expired'));
    const open = rotationId('orders-db', 'v1');
    expect(decide(about('expired'), { ...usual, validityMs: dayMs, open }).action).toBe('alarm');
  });

  it('of an older version is none', () => {
    expect(decide(about('expired'), { ...usual, current: 'v2' })).toEqual(says('ignore', 'outdated'));
  });
});

describe('any event', () => {
  it('of a secret that is not configured is ignored', () => {
    for (const kind of ['near expiry', 'new version', 'expired'] as const)
      expect(decide(about(kind), { current: 'v1' })).toEqual(says('ignore', 'not configured'));
  });
});

/** A vault and a rotator in a few lines: what happens between the deliveries. */
function openModel() {
  let current = 1;
  let open: { from: number; published: boolean } | undefined;
  const started: string[] = [];
  const publishedBy = new Map<number, string>();
  return {
    started,
    get version() {
      return current;
    },
    deliver(event: VaultEvent): Decision {
      const by = publishedBy.get(Number(event.version));
      const decision = decide(event, {
        validityMs: 90 * dayMs,
        current: String(current),
        ...(by === undefined ? {} : { publishedBy: by }),
        ...(open ? { open: rotationId('orders-db', String(open.from)) } : {}),
      });
      if (decision.action === 'rotate') {
        if (open) throw new Error('Two rotations are open.');
        open = { from: current, published: false };
        started.push(rotationId('orders-db', String(current)));
      }
      return decision;
    },
    publish() {
      if (!open || open.published) return;
      current += 1;
      publishedBy.set(current, rotationId('orders-db', String(open.from)));
      open = { ...open, published: true };
    },
    close() {
      if (open?.published) open = undefined;
    },
    setByHand() {
      if (!open) current += 1;
    },
  };
}

const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ age: fc.nat(3), kind: fc.constantFrom('near expiry', 'new version', 'expired') }),
  },
  { weight: 3, arbitrary: fc.constantFrom('publish', 'close', 'set by hand') },
);

describe('events in any order, repeated and late', () => {
  it('start at most one rotation of a secret and version, and none of an outdated one', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        const model = openModel();
        for (const what of happenings) {
          if (what === 'publish') model.publish();
          else if (what === 'close') model.close();
          else if (what === 'set by hand') model.setByHand();
          else {
            const version = Math.max(1, model.version - what.age);
            const { action } = model.deliver(about(what.kind, String(version)));
            if (version !== model.version) expect(action).toBe('ignore');
            if (what.kind !== 'near expiry') expect(action).not.toBe('rotate');
          }
        }
        expect(model.started).toEqual([...new Set(model.started)]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never keep a rotation from starting: a near expiry of what is current starts one when none is open', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const model = openModel();
        for (const what of happenings)
          if (typeof what === 'object')
            model.deliver(about(what.kind, String(Math.max(1, model.version - what.age))));
          else if (what === 'set by hand') model.setByHand();
          else model.publish();
        model.publish();
        model.close();
        expect(model.deliver(about('near expiry', String(model.version))).action).toBe('rotate');
      }),
    );
  });
});
