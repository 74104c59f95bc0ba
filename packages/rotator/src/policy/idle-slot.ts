import type { CredentialRef, Usage } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import type { VaultVersion } from '../vault.ts';
import type { Refusal } from './may-start.ts';

/** A credential that lives at the source beside the one to be replaced: to issue anew would end it. */
export interface Other {
  readonly ref: CredentialRef;
  readonly usage: Usage;
}

/** Why the slot that is taken for idle is not: a live client may hold what is in it. */
export function slotInUse(
  { ref, usage }: Other,
  versions: readonly Pick<VaultVersion, 'version' | 'enabled' | 'tags'>[],
  reported: readonly Pick<Instance, 'consumer' | 'instance' | 'version' | 'held'>[],
): Refusal | undefined {
  const holding = versions.filter(({ tags }) => tags.credential === ref);
  const holders = holding
    .filter(({ enabled }) => enabled)
    .map(({ version }) => `version ${version}, which is enabled`);
  const values = new Set(holding.map(({ version }) => version));
  const instances = reported
    .filter(({ version, held }) => [version, ...held].some((one) => values.has(one)))
    .map(({ consumer, instance }) => `${consumer}/${instance}`);
  const sessions =
    usage === 'unknown' ? [] : usage.sessions.map(({ client }) => client || 'an unnamed client');
  const users = [...holders, ...instances, ...sessions.map((client) => `a session of ${client}`)];
  if (users.length === 0) return undefined;
  return {
    reason: `${ref}, whose slot the new credential would take, is still in use by ${users.join(', ')}`,
    hint: 'Move what uses it to the current version (restart it), disable the other versions that hold it, then rotate.',
  };
}
