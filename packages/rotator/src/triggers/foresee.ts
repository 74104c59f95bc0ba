import { after, both, looked, type Looked } from '../looked.ts';
import type { Foreseen } from '../operations.ts';
import type { Instance } from '../fleet/fleet.ts';
import { whatAnEmergencyBreaks } from '../policy/what-breaks.ts';
import { whichCredential } from '../policy/which-credential.ts';
import { whichRotation, type Requested } from '../policy/which-rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import type { Vault } from '../vault.ts';
import type { ConfiguredSecret } from './operator.ts';

/**
 * What a rotation of this secret would break if its credential were in the wrong hands. Nothing is changed. What
 * can't be looked at is named: in an emergency nobody waits for a vault or a source that doesn't answer.
 */
export async function foresee(at: {
  readonly configured: ConfiguredSecret;
  readonly vault: Vault;
  readonly unfinished: (secret: string) => Promise<Requested | undefined>;
  readonly instances: (secret: string) => Promise<readonly Instance[]>;
}): Promise<Foreseen> {
  const { policy, source } = at.configured;
  const { secret } = policy;
  const open = await looked(() => at.unfinished(secret));
  const versions = await looked(() => at.vault.versions(secret));
  const live = await looked(() => source.list());
  const usage = await after(both(both(open, versions), live), async ([[requested, all], refs]) => {
    const current = await at.vault.current(secret);
    const { from } = requested ?? whichRotation({ vault: at.vault.url, secret, current, versions: all });
    const version = all.find((one) => one.version === from);
    if (!version) throw new RotatorError('VAULT_UNEXPECTED', `Version ${from} is not in the vault.`);
    return source.usage(whichCredential({ secret, kind: source.kind, version, live: refs }).ref);
  });
  const instances = await looked(() => at.instances(secret));
  return {
    secret,
    breaks: whatAnEmergencyBreaks({
      policy,
      instances: 'seen' in instances ? instances.seen : [],
      usage: 'seen' in usage ? usage.seen : 'unknown',
    }),
    notChecked: [
      ...reason('connected instances', instances),
      ...('seen' in usage && usage.seen === 'unknown'
        ? [`sessions of the old credential: ${source.kind} can't tell`]
        : reason('sessions of the old credential', usage)),
    ],
    ...('seen' in open && open.seen ? { joins: open.seen.id } : {}),
  };
}

function reason(what: string, look: Looked<unknown>): string[] {
  return 'seen' in look ? [] : [`${what}: ${look.failure.message}`];
}
