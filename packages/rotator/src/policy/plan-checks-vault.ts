import type { PlanCheck } from './plan-facts.ts';
import { replacesTheCurrentVersion } from './may-start.ts';
import { failed, notChecked, ofSeen, ok, refused, unlessFailed } from './said.ts';

const ways = {
  start: 'a new rotation',
  join: 'joins the one that is open and that a rotator is at',
  resume: 'resumes the one that was begun and that nobody is at',
} as const;

export const whichOne: PlanCheck = ({ rotation, start, open }) => [
  ...unlessFailed(rotation, ({ id, as }) => {
    const refusal = 'seen' in start ? replacesTheCurrentVersion(start.seen) : undefined;
    return refusal ? [refused(refusal)] : [ok(`${id}: ${ways[as]}`)];
  }),
  ...('seen' in open
    ? []
    : [
        notChecked(
          `whether one was begun that has not published yet: ${open.failure.message}`,
          open.failure.hint,
        ),
      ]),
];

export const mayGet: PlanCheck = ({ current }) =>
  ofSeen(current, ({ version }) => [ok(`tried: the current version is ${version}`)]);

export const mayList: PlanCheck = ({ versions }) =>
  ofSeen(versions, (all) => [
    ok(`tried: ${all.length} versions, ${all.filter(({ enabled }) => enabled).length} of them enabled`),
  ]);

export const mayUpdate: PlanCheck = ({ update, versions }) => {
  if ('failure' in versions) return [notChecked(`not known: ${versions.failure.message}`)];
  if ('seen' in update) return [ok('tried on a version that does not exist, which changes nothing')];
  if (update.failure.code === 'VAULT_FORBIDDEN') return [failed(update.failure)];
  return [notChecked(update.failure.message)];
};

/** To try it would be to publish a version, which every application would take up. */
export const maySet: PlanCheck = () => [
  notChecked(
    'this right shows only when it is used, and that would publish a version',
    'The role "Key Vault Secrets Officer" has it: az role assignment list --assignee ROTATOR --scope VAULT_ID --include-inherited',
  ),
];
