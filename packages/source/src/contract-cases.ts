import assert from 'node:assert/strict';
import {
  assertLive,
  assertRefused,
  assertSessions,
  closeAll,
  codeOf,
  eventually,
  kindOf,
} from './contract-asserts.ts';
import { findLeaks, thrownBy } from './contract-errors.ts';
import { SecretValue } from './secret-value.ts';
import { isRefused, SourceError } from './source-error.ts';
import type { CredentialRef, RotationId } from './source.ts';
import type { SourceUnderTest } from './source-under-test.ts';

/** What a case works with: a source and the ref of its one live credential. */
export type ContractWorld = SourceUnderTest & { readonly current: CredentialRef };

const [first, second, third]: readonly RotationId[] = ['contract@1', 'contract@2', 'contract@3'] as const;

/** Every case by its sentence. */
export const contractCases: Readonly<Record<string, (world: ContractWorld) => Promise<void>>> = {
  async 'issue leaves the current credential as it is'({ source, current, currentValue }) {
    await source.issue(first, current);
    await source.prove(currentValue);
  },

  async 'an issued value proves'({ source, current }) {
    const { value } = await source.issue(first, current);
    await source.prove(value);
  },

  async 'a repeated issue for one rotation replaces what that rotation issued'({
    source,
    current,
    currentValue,
  }) {
    const before = await source.issue(first, current);
    const after = await source.issue(first, current);
    await source.prove(after.value);
    await assertRefused(source, before.value);
    await source.prove(currentValue);
  },

  async 'a repeated issue for one rotation leaves no extra credential'({ source, current }) {
    await source.issue(first, current);
    const { ref } = await source.issue(first, current);
    await assertLive(source, [current, ref]);
  },

  async 'a repeated issue ends the sessions of what it replaces and no other'({ source, current, ...world }) {
    const kept = await world.login(world.currentValue);
    const replaced = await world.login((await source.issue(first, current)).value);
    await source.issue(first, current);
    await eventually(world, async () => assert.equal(await replaced.works(), false, 'the session lives on'));
    assert.equal(await kept.works(), true, 'a session of the current credential was ended');
    await closeAll(kept, replaced);
  },

  async 'issue for the next rotation uses the other slot'({ source, current, currentValue }) {
    const one = await source.issue(first, current);
    await source.revoke(current);
    const two = await source.issue(second, one.ref);
    await source.prove(one.value);
    await source.prove(two.value);
    await assertRefused(source, currentValue);
    await assertLive(source, [one.ref, two.ref]);
  },

  async 'each rotation issues a credential of another name'({ source, current }) {
    const one = await source.issue(first, current);
    await source.revoke(current);
    const two = await source.issue(second, one.ref);
    await source.revoke(one.ref);
    const three = await source.issue(third, two.ref);
    assert.equal(new Set([current, one.ref, two.ref, three.ref]).size, 4, 'a name was used again');
  },

  async 'with nothing known, the only credential is the current one'({ source, currentValue, current }) {
    await source.issue(first, undefined);
    const { ref, value } = await source.issue(first, undefined);
    await source.prove(currentValue);
    await source.prove(value);
    await assertLive(source, [current, ref]);
  },

  async 'with nothing known and two live credentials, issue is AMBIGUOUS and changes nothing'(world) {
    const { source, current, currentValue } = world;
    const { value } = await source.issue(first, current);
    const error = await thrownBy(() => source.issue(second, undefined));
    assert.equal(codeOf(error), 'AMBIGUOUS');
    await source.prove(currentValue);
    await source.prove(value);
  },

  async 'a credential that was just issued can be taken back'({ source, current, currentValue }) {
    const { ref, value } = await source.issue(first, current);
    await source.revoke(ref);
    await assertRefused(source, value);
    await source.prove(currentValue);
    await assertLive(source, [current]);
  },

  async 'a repeated revoke succeeds'({ source, current, currentValue }) {
    const { value } = await source.issue(first, current);
    await source.revoke(current);
    await source.revoke(current);
    await assertRefused(source, currentValue);
    await source.prove(value);
  },

  async 'revoking what never existed succeeds and ends nothing'({ source, current, currentValue }) {
    await source.revoke('never-issued');
    await source.revoke(`${current}#0123456789ab`);
    await source.prove(currentValue);
    await assertLive(source, [current]);
  },

  async 'a late revoke of a former credential of the slot does not end the live one'({ source, current }) {
    const one = await source.issue(first, current);
    await source.revoke(current);
    const two = await source.issue(second, one.ref);
    await source.revoke(current);
    await source.prove(two.value);
    await source.revoke(one.ref);
    const three = await source.issue(third, two.ref);
    await source.revoke(one.ref);
    await source.prove(three.value);
    await assertLive(source, [two.ref, three.ref]);
  },

  async 'prove of a dead value is REFUSED'({ source, current, currentValue }) {
    await source.issue(first, current);
    await source.revoke(current);
    await assertRefused(source, currentValue);
  },

  async 'prove is not REFUSED when the source does not answer'({ unreachable, currentValue }) {
    const { source, value } = await unreachable(currentValue);
    const error = await thrownBy(() => source.prove(value));
    assert.equal(isRefused(error), false, 'no answer was taken for a refusal');
  },

  async 'no answer is never taken for nothing there'({ unreachable, currentValue, current }) {
    const { source } = await unreachable(currentValue);
    const calls = [() => source.list(), () => source.revoke(current), () => source.issue(first, current)];
    for (const call of calls) assert.equal(codeOf(await thrownBy(call)), 'UNREACHABLE');
    const { inspect } = source;
    if (inspect) {
      const error = await thrownBy(() => inspect({ current, rotations: [] }));
      assert.equal(codeOf(error), 'UNREACHABLE');
    }
    const usage = await source.usage(current).catch(() => 'unknown');
    assert.equal(usage, 'unknown', 'usage was told without an answer');
  },

  async 'usage counts live sessions and drops to none'({ source, current, currentValue, ...world }) {
    const sessions = [await world.login(currentValue), await world.login(currentValue)];
    await eventually(world, () => assertSessions(source, current, 2));
    await closeAll(...sessions);
    await eventually(world, () => assertSessions(source, current, 0));
  },

  async 'usage tells the sessions of two credentials apart'({ source, current, currentValue, ...world }) {
    const { ref, value } = await source.issue(first, current);
    const [old, fresh] = [await world.login(currentValue), await world.login(value)];
    await eventually(world, () => assertSessions(source, current, 1));
    await eventually(world, () => assertSessions(source, ref, 1));
    await source.revoke(current);
    const next = await source.issue(second, ref);
    const later = await world.login(next.value);
    await eventually(world, () => assertSessions(source, current, 0));
    await eventually(world, () => assertSessions(source, next.ref, 1));
    await closeAll(old, fresh, later);
  },

  async 'sessions survive until revoke ends them'({ source, current, currentValue, ...world }) {
    const old = await world.login(currentValue);
    const fresh = await world.login((await source.issue(first, current)).value);
    assert.equal(await old.works(), true, 'issue ended a session of the current credential');
    await source.revoke(current);
    await eventually(world, async () => assert.equal(await old.works(), false, 'the session lives on'));
    await eventually(world, () => assertSessions(source, current, 0));
    assert.equal(await fresh.works(), true, 'revoke ended a session of another credential');
    await closeAll(old, fresh);
  },

  async 'list names exactly what is live'({ source, current }) {
    await assertLive(source, [current]);
    const { ref } = await source.issue(first, current);
    await assertLive(source, [current, ref]);
    await source.revoke(current);
    await assertLive(source, [ref]);
  },

  async 'inspect changes nothing'({ source, current, currentValue, state, ...world }) {
    if (!source.inspect) return;
    assert.ok(state, 'A source that has inspect is tested with its state.');
    const session = await world.login(currentValue);
    const look = () => source.inspect?.({ current, rotations: [first, second] });
    const before = await state();
    await look();
    assert.deepEqual(await state(), before, 'a look altered the source');
    const { value } = await source.issue(first, current);
    const between = await state();
    await look();
    assert.deepEqual(await state(), between, 'a look altered the source');
    for (const one of [currentValue, value]) await source.prove(one);
    assert.equal(await session.works(), true, 'a look ended a session');
    await closeAll(session);
  },

  async 'inspect names what a rotation issued, and nothing else'({ source, current }) {
    if (!source.inspect) return;
    const issuedBy = async (...rotations: RotationId[]) =>
      (await source.inspect?.({ current, rotations }))?.issued;
    assert.deepEqual(await issuedBy(first), [], 'before anything was issued');
    const { ref } = await source.issue(first, current);
    assert.deepEqual(await issuedBy(second, first), [{ ref, rotation: first }]);
    assert.deepEqual(await issuedBy(second), [], 'of another rotation');
    await source.revoke(ref);
    assert.deepEqual(await issuedBy(first), [], 'after it was ended');
  },

  async 'inspect finds nothing that stops a rotation which works'({ source, current }) {
    if (!source.inspect) return;
    const { findings } = await source.inspect({ current, rotations: [] });
    const stops = findings.filter(({ mark }) => mark === 'stop');
    assert.deepEqual(stops, [], 'a stop where issue works');
    await source.issue(first, current);
  },

  async 'no value is in any error'({ source, current, currentValue, ...world }) {
    const replaced = await source.issue(first, current);
    const { value } = await source.issue(first, current);
    await source.revoke(current);
    const garbled = new SecretValue(`${value.reveal().slice(0, -3)}"\\ %zz`);
    const away = await world.unreachable(value);
    const errors = [
      await thrownBy(() => source.prove(currentValue)),
      await thrownBy(() => source.prove(replaced.value)),
      await thrownBy(() => away.source.prove(away.value)),
      await thrownBy(() => away.source.issue(first, current)),
      await thrownBy(() => source.prove(garbled)),
      await thrownBy(() => source.prove(new SecretValue(`:${value.reveal()}`))),
    ];
    const secretsIn = world.secretsIn ?? ((one) => [one.reveal()]);
    const secrets = [currentValue, replaced.value, value, away.value, garbled].flatMap(secretsIn);
    for (const error of errors) {
      assert.ok(error instanceof SourceError, `${kindOf(error)} is no SourceError`);
      const places = findLeaks(error, secrets);
      assert.deepEqual(places, [], `a value is in the ${places.join(', ')} of an error`);
    }
  },
};
