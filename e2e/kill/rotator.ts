/**
 * The rotator under test, in a process of its own so that it can be killed: the real runbook, journal, vault port
 * and source. Around each call that leaves the process it can kill itself; what it issues it tells its parent
 * through the channel between them, for the search for leaked values.
 */
import { SecretClient } from '@azure/keyvault-secrets';
import { keyVault, openRotator, type Phase, type Vault } from '@keyturn/rotator';
import { SourceError, type Source } from '@keyturn/source';
import { postgres } from '@keyturn/sources/postgres';
import { Client } from 'pg';
import type { RotatorOrders, RotatorSays } from './protocol.ts';

const orders = JSON.parse(process.env['KILL_ORDERS'] ?? '') as RotatorOrders;
const seen = new Map<string, number>();
let phase: Phase = 'preflight';

function tell(message: RotatorSays): void {
  process.send?.(message);
}

/** Dies here if these are the orders. A call is named by its phase, what it does, and how often it was made there. */
function mayDie(moment: 'before' | 'after', call: string): void {
  if (orders.killAt?.call === call && orders.killAt.moment === moment) process.kill(process.pid, 'SIGKILL');
}

async function around<T>(what: string, action: () => Promise<T>): Promise<T> {
  const name = `${phase}: ${what}`;
  const times = (seen.get(name) ?? 0) + 1;
  seen.set(name, times);
  const call = `${name} #${times}`;
  tell({ call });
  mayDie('before', call);
  try {
    return await action();
  } finally {
    mayDie('after', call); // a refusal is an answer too
  }
}

type Method = (...args: unknown[]) => Promise<unknown>;

/** Every call of the SDK that reaches the vault passes here. */
for (const name of ['getSecret', 'setSecret', 'updateSecretProperties'] as const) {
  const prototype = SecretClient.prototype as unknown as Record<typeof name, Method>;
  const original = prototype[name];
  prototype[name] = function (this: unknown, ...args: unknown[]) {
    return around(`vault ${name}`, () => original.apply(this, args));
  };
}

/** A listing is asked for page by page; its first page stands for it. */
type List = (...args: unknown[]) => AsyncIterable<unknown>;
const listing = SecretClient.prototype as unknown as { listPropertiesOfSecretVersions: List };
const list = listing.listPropertiesOfSecretVersions;
listing.listPropertiesOfSecretVersions = async function* (this: unknown, ...args: unknown[]) {
  const versions = list.apply(this, args)[Symbol.asyncIterator]();
  let next = await around('vault list versions', () => versions.next());
  for (; next.done !== true; next = await versions.next()) yield next.value;
};

/** Every statement to the source passes here; the journal's own database is another server. */
const client = Client.prototype as unknown as Record<'connect' | 'query', Method> & { port: number };
for (const name of ['connect', 'query'] as const) {
  const original = client[name];
  client[name] = function (this: { port: number }, ...args: unknown[]) {
    const first = args[0] as string | { text?: string } | undefined;
    const viaCallback = typeof args.at(-1) === 'function';
    if (this.port !== orders.source.port || viaCallback) return original.apply(this, args);
    const text = typeof first === 'string' ? first : (first?.text ?? '');
    const verb = text.trim().split(/\s+/).slice(0, 2).join(' ').toLowerCase();
    return around(`source ${name === 'connect' ? 'connect' : verb}`, () => original.apply(this, args));
  };
}

const realVault = keyVault({ url: orders.vaultUrl, requestTimeoutMs: orders.requestTimeoutMs });
const vault = orders.mutant === 're-issue' ? forgetful(realVault) : realVault;

/** Sabotage: while it issues, it does not see what this rotation has published already. */
function forgetful(real: Vault): Vault {
  return {
    ...real,
    async versions(secret) {
      const versions = await real.versions(secret);
      return phase === 'issue' ? versions.map((version) => ({ ...version, tags: {} })) : versions;
    },
    async current(secret) {
      const current = await real.current(secret);
      const from = current.tags.rotation?.split('@').at(-1);
      return phase === 'issue' && from !== undefined && orders.resumes
        ? { ...current, version: from }
        : current;
    },
  };
}

function telling(source: Source): Source {
  return {
    kind: source.kind,
    async issue(rotation, current) {
      const issued = await source.issue(rotation, current);
      tell({ issued: issued.value.reveal() });
      return issued;
    },
    prove: (value) => source.prove(value),
    usage: (ref) => source.usage(ref),
    revoke: (ref) => source.revoke(ref),
    list: () => source.list(),
  };
}

/** Sabotage: it ends nothing, and claims to have been refused. */
function lying(source: Source): Source {
  return {
    ...source,
    revoke: async () => undefined,
    async prove(value) {
      if (phase === 'revoke') throw new SourceError('REFUSED', 'So it says.');
      return source.prove(value);
    },
  };
}

const { host, port, database, roles, owner, adminSecret } = orders.source;
const source = telling(
  postgres({
    roles,
    owner,
    format: 'url',
    template: { host, port, database },
    probe: 'select id from orders limit 1',
    admin: async () => ({ connectionString: (await realVault.current(adminSecret)).value.reveal() }),
  }),
);
const rotator = await openRotator({
  journalUrl: orders.journalUrl,
  vault,
  fleet: { host: '127.0.0.1', port: orders.fleetPort, leaseMs: 3_000, heartbeatMs: 500 },
  secrets: [{ policy: orders.policy, source: orders.mutant === 'unproven' ? lying(source) : source }],
  report: (record) => {
    if (record.kind === 'phase') phase = record.phase;
    process.stderr.write(`${JSON.stringify(record)}\n`);
  },
});
try {
  const outcome = await rotator.operator.rotate({ secret: orders.policy.secret });
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
} catch (error) {
  const { name, code, message } = error as { name?: string; code?: string; message?: string };
  process.stderr.write(`${name} ${code}: ${message}\n`);
  process.exitCode = 1;
}
process.exit(); // without closing: what has been said must hold from that instant
