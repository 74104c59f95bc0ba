import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '@keyturn/source';
import type { Connection } from './connection.ts';

/** The name under which `prove` logs in. */
export const proveName = 'keyturn-prove';

/** One connection of the application's user, as the server sees it. */
export interface UserConnection {
  readonly id: string;
  /** What its name ends in, if that looks like a fingerprint: `orders-api@3f9a02c41d7e`. */
  readonly fingerprint: string | undefined;
  readonly session: Session;
}

/** Who is connected: with one of the fingerprints asked for, or with nobody knows which password. */
export interface Attributed {
  readonly of: (fingerprint: string) => readonly UserConnection[];
  readonly unattributable: readonly UserConnection[];
}

/** A client logs in first and names itself then. */
const pauseMs = 50;

/**
 * The connections of a user by what their names say. A name that ends in what looks like a fingerprint, and is none
 * of `fingerprints`, says nothing: the names of containers look the same. One that can't be attributed is looked at
 * twice, since it may be about to name itself.
 */
export async function attributedConnections(
  connection: Connection,
  at: { readonly user: string; readonly fingerprints: readonly string[] },
): Promise<Attributed> {
  const isKnown = ({ fingerprint }: UserConnection) =>
    fingerprint !== undefined && at.fingerprints.includes(fingerprint);
  const before = await connectionsOf(connection, at.user);
  if (before.every(isKnown)) return { of: among(before), unattributable: [] };
  await sleep(pauseMs);
  const now = await connectionsOf(connection, at.user);
  const wereThere = new Set(before.filter((one) => !isKnown(one)).map(({ id }) => id));
  return {
    of: among(now),
    unattributable: now.filter((one) => !isKnown(one) && wereThere.has(one.id)),
  };
}

const among = (all: readonly UserConnection[]) => (fingerprint: string) =>
  all.filter((one) => one.fingerprint === fingerprint);

export async function kill(connection: Connection, all: readonly UserConnection[]): Promise<void> {
  // By their ids, which the server never gives out again.
  for (const { id } of all) await connection.command('CLIENT', 'KILL', 'ID', id);
}

async function connectionsOf(connection: Connection, user: string): Promise<readonly UserConnection[]> {
  const list = String(await connection.command('CLIENT', 'LIST'));
  return list
    .split('\n')
    .map(fieldsOf)
    .filter((fields) => fields['user'] === user && !isProof(fields))
    .map(toConnection);
}

/** Our own login of `prove` may linger for a moment; one that stays longer is not ours, whatever it calls itself. */
function isProof({ name = '', age }: Fields): boolean {
  return name === proveName && Number(age) < 60;
}

type Fields = Readonly<Record<string, string>>;

/** `id=7 addr=10.0.0.5:51234 name=orders-api@3f9a02c41d7e age=12 … user=orders`: no value has a space. */
function fieldsOf(line: string): Fields {
  const pairs = line
    .trim()
    .split(' ')
    .map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]);
  return Object.fromEntries(pairs) as Fields;
}

/** Since when is not told: a connection may have logged in anew long after it was opened. */
function toConnection({ id = '', name = '', addr = '' }: Fields): UserConnection {
  const { said, fingerprint } = /^(?<said>.*)@(?<fingerprint>[0-9a-f]{12})$/.exec(name)?.groups ?? {};
  const client = [said ?? name, addr].filter((part) => part !== '').join(' ');
  return { id, fingerprint, session: { client } };
}
