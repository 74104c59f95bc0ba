import { DefaultAzureCredential } from '@azure/identity';
import { cleanUp } from './clean-up.ts';
import type { Need } from './check.ts';
import { sampleOf } from './sample.ts';
import { createSubject, type Subject } from './subject.ts';
import type { Subjects } from './subjects.ts';
import { get } from './wire.ts';

/**
 * A vault on Azure. Checks that would need other settings or identities find no subject there.
 *
 * @throws TypeError when the text is no https URL.
 */
export function realVault(vaultUrl: string): Subjects {
  const { protocol, host } = new URL(vaultUrl);
  if (protocol !== 'https:') throw new TypeError(`VAULT_URL must begin with https://, not ${protocol}//`);
  const url = `https://${host}`;
  const { subject, names } = createSubject({
    url,
    credential: new DefaultAzureCredential(),
    // Deletions take some seconds, purges up to a minute.
    pollMs: 2_000,
    patienceMs: 180_000,
  });
  let purgeable: Promise<boolean> | undefined;

  return {
    name: url,
    async find(need: Need | undefined) {
      if (need === undefined) return subject;
      if (need !== 'purge') return undefined;
      return (await (purgeable ??= mayPurge(subject))) ? subject : undefined;
    },
    close: () => cleanUp(subject, names),
  };
}

/** Whether the vault lets go of deleted secrets at all, and at this caller's word. */
async function mayPurge(vault: Subject): Promise<boolean> {
  const { name } = await sampleOf(vault);
  const { recoveryLevel } = (await get(vault, name)).attributes;
  if (!recoveryLevel.includes('Purgeable')) return false;
  // Who may purge is told that there is nothing to purge.
  return (await vault.call('DELETE', `/deletedsecrets/${vault.fresh()}`)).status === 404;
}
