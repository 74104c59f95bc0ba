import { SourceError, type CredentialRef } from '@keyturn/source';
import { generationOf, roleOf, type Role } from './roles.ts';
import type { PostgresOptions } from './options.ts';
import { statement } from './setup.ts';

/** The role in use, which nothing may touch, and the one that gets the new password. */
export interface Slots {
  readonly current: Role | undefined;
  readonly idle: string;
}

interface Question {
  readonly options: PostgresOptions;
  /** The roles that exist. */
  readonly found: readonly Role[];
  readonly rotation: string;
  readonly current: CredentialRef | undefined;
}

/** Decides which role is idle. Whenever the answer could be the role in use, it refuses. */
export function chooseSlots(question: Question): Slots {
  const { options, found } = question;
  if (found.length === 0) {
    const [first] = options.roles;
    throw new SourceError('MISCONFIGURED', `Neither of the roles ${options.roles.join(' and ')} exists.`, {
      hint: statement.createLogin(first, options.owner),
    });
  }
  const current = question.current === undefined ? theOneInUse(question) : named(question, question.current);
  const [first, second] = options.roles;
  return { current, idle: current?.name === first ? second : first };
}

function named({ options, found }: Question, ref: CredentialRef): Role {
  const name = roleOf(ref, options.roles);
  if (name === undefined) {
    throw new SourceError(
      'MISCONFIGURED',
      `The credential in use is ${ref}, which is none of the roles ${options.roles.join(' and ')}.`,
      { hint: 'Name the role that the applications log in with in the configuration.' },
    );
  }
  const current = found.find((role) => role.name === name);
  if (current?.ref !== ref) throw cannotTell(`${ref} is said to be in use, but ${holds(current, name)}`);
  const other = found.find((role) => role.name !== name);
  // The only one that still logs in is in use, whatever anybody says.
  if (!current.canLogin && other?.canLogin === true)
    throw cannotTell(`${ref} is said to be in use, but only ${other.ref} can log in`);
  return current;
}

/** What this rotation issued itself, before a crash, is never what is in use. */
function theOneInUse({ found, rotation }: Question): Role | undefined {
  const candidates = found.filter(
    (role) => role.canLogin && role.generation !== generationOf(rotation, role.name),
  );
  if (candidates.length > 1)
    throw cannotTell(`${candidates.map(({ ref }) => ref).join(' and ')} can both log in`);
  return candidates[0];
}

function holds(role: Role | undefined, name: string): string {
  return role === undefined ? `the role ${name} does not exist` : `its role holds ${role.ref}`;
}

function cannotTell(what: string): SourceError {
  return new SourceError('AMBIGUOUS', `${what}, so Keyturn can't tell which role is idle.`, {
    hint: "Set the tag keyturn-credential of the secret's current version to the credential that it holds.",
  });
}
