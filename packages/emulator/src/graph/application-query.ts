import type { PasswordCredential } from './applications.ts';
import { unknownProperty, unsupportedFilter } from './graph-refusal.ts';

// The two query options that programs need here, `$select` and `$filter` for equality.

/** An application as Graph shows it. */
export interface ApplicationEntity {
  readonly id: string;
  readonly appId: string;
  readonly displayName: string;
  readonly keyCredentials: readonly never[];
  readonly passwordCredentials: readonly (PasswordCredential & { readonly secretText: null })[];
}

export interface ApplicationQuery {
  /** What `$select` adds to the name of the collection in `@odata.context`. */
  readonly columns: string;
  readonly select: (entity: ApplicationEntity) => Partial<ApplicationEntity>;
  readonly matches: (entity: ApplicationEntity) => boolean;
}

const properties = ['id', 'appId', 'displayName', 'keyCredentials', 'passwordCredentials'] as const;

export function readQuery(query: URLSearchParams): ApplicationQuery {
  const selected = query.get('$select')?.split(',').map(readProperty);
  return {
    columns: selected === undefined ? '' : `(${selected.join(',')})`,
    select: (entity) =>
      selected === undefined ? entity : Object.fromEntries(selected.map((name) => [name, entity[name]])),
    matches: readFilter(query.get('$filter')),
  };
}

function readProperty(text: string): (typeof properties)[number] {
  const name = text.trim();
  const property = properties.find((known) => known.toLowerCase() === name.toLowerCase());
  if (property === undefined) throw unknownProperty(name);
  return property;
}

/** `appId eq '…'`, where a quote inside is written twice. */
function readFilter(text: string | null): ApplicationQuery['matches'] {
  if (text === null) return () => true;
  const match = /^\s*(?<property>id|appId|displayName)\s+eq\s+'(?<value>(?:[^']|'')*)'\s*$/.exec(
    text,
  )?.groups;
  const property = (['id', 'appId', 'displayName'] as const).find((name) => name === match?.['property']);
  if (match === undefined || property === undefined) throw unsupportedFilter();
  const value = match['value']?.replaceAll("''", "'").toLowerCase();
  return (entity) => entity[property].toLowerCase() === value;
}
