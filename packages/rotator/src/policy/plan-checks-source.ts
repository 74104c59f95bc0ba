import type { SourceFinding } from '@keyturn/source';
import { slotInUse } from './idle-slot.ts';
import { currentValueWorks, tagsFit } from './may-start.ts';
import type { PlanCheck, PlanFacts, Said } from './plan-facts.ts';
import { failed, notChecked, ofSeen, ok, refused, unlessFailed } from './said.ts';

export const currentValue: PlanCheck = ({ start, current }) => {
  if ('failure' in current) return [notChecked(`not known: ${current.failure.message}`)];
  return ofSeen(start, (facts) => {
    const refusal = currentValueWorks(facts);
    if (refusal) return [refused(refusal)];
    const says = facts.currentAuthenticates ? 'tried: it logs in' : 'is refused; the rotation takes it back';
    return [ok(says)];
  });
};

export const tags: PlanCheck = ({ start }) =>
  unlessFailed(start, (facts) => {
    const refusal = tagsFit(facts);
    return refusal ? [refused(refusal)] : [ok(`${facts.peoplesTags} of your own, which stay`)];
  });

export const rightsAtSource: PlanCheck = (facts) => inspected(facts, 'rights');
export const parity: PlanCheck = (facts) => inspected(facts, 'parity');
export const revocation: PlanCheck = (facts) => inspected(facts, 'revocation');

function inspected({ inspection }: PlanFacts, about: SourceFinding['about']): readonly Said[] {
  if (inspection === undefined) return [notChecked('this source has no way to tell before it is done')];
  const say = ({ findings }: { readonly findings: readonly SourceFinding[] }): readonly Said[] => {
    const said = findings.filter((one) => one.about === about).map(toSaid);
    return said.length > 0 ? said : [notChecked('the source does not tell')];
  };
  return about === 'rights' ? ofSeen(inspection, say) : unlessFailed(inspection, say);
}

function toSaid({ mark, says, hint }: SourceFinding): Said {
  return { mark, says, ...(hint === undefined ? {} : { hint }) };
}

/** The new credential takes a slot: nobody may still be using what is in it. */
export const idleSlot: PlanCheck = ({ rotation, ref, others, versions, instances }) => {
  if ('failure' in rotation) return [notChecked(`not known: ${rotation.failure.message}`)];
  if ('failure' in versions) return [notChecked(`not known: ${versions.failure.message}`)];
  if ('failure' in ref) return [failed(ref.failure)];
  return ofSeen(others, (all) => {
    const published = publishedBy(rotation.seen.id, versions.seen);
    if (published !== undefined) return [ok(`this rotation has issued already, and published ${published}`)];
    const reported = 'seen' in instances ? instances.seen : [];
    const refusals = all.flatMap((other) => slotInUse(other, versions.seen, reported) ?? []);
    if (refusals.length > 0) return refusals.map(refused);
    if (all.length === 0) return [ok(`${ref.seen} is replaced, and nothing else lives`)];
    return all.map(({ ref: other, usage }) =>
      usage === 'unknown'
        ? notChecked(`${other} is issued over; the source can't tell whether somebody uses it`)
        : ok(`${ref.seen} is replaced; ${other} lives, nobody uses it, and it is issued over`),
    );
  });
};

function publishedBy(
  id: string,
  versions: readonly { readonly version: string; readonly tags: { readonly rotation?: string } }[],
): string | undefined {
  return versions.find(({ tags: own }) => own.rotation === id)?.version;
}
