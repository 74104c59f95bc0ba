import type { Subject } from './subject.ts';
import { set, versionOf } from './wire.ts';

/** A secret that many checks read and none changes, so that a real vault isn't filled more than needed. */
export interface Sample {
  readonly name: string;
  readonly older: { readonly version: string; readonly value: string };
  readonly current: { readonly version: string; readonly value: string };
  readonly contentType: string;
  readonly tags: Readonly<Record<string, string>>;
}

const samples = new WeakMap<Subject, Promise<Sample>>();

/** The subject's sample, made when it is first asked for. */
export function sampleOf(vault: Subject): Promise<Sample> {
  const known = samples.get(vault) ?? make(vault);
  samples.set(vault, known);
  return known;
}

async function make(vault: Subject): Promise<Sample> {
  const name = vault.fresh();
  const contentType = 'text/plain';
  const tags = { CredentialId: 'orders-a', ProviderAddress: 'db.example', ValidityPeriodDays: '60' };
  const older = await set(vault, name, { value: 'sample one', tags: { CredentialId: 'orders-b' } });
  const current = await set(vault, name, { value: 'sample two', contentType, tags });
  return {
    name,
    older: { version: versionOf(older), value: 'sample one' },
    current: { version: versionOf(current), value: 'sample two' },
    contentType,
    tags,
  };
}

const busy = new WeakMap<Subject, Promise<{ readonly name: string; readonly versions: readonly string[] }>>();

/** A secret with 30 versions, more than one page of a list holds. */
export function manyVersionsOf(vault: Subject) {
  const known = busy.get(vault) ?? makeMany(vault);
  busy.set(vault, known);
  return known;
}

async function makeMany(vault: Subject) {
  const name = vault.fresh();
  const versions: string[] = [];
  for (let count = 1; count <= 30; count += 1)
    versions.push(versionOf(await set(vault, name, { value: `value ${count}` })));
  return { name, versions };
}
