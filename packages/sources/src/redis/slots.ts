import { SourceError, type CredentialRef, type RotationId } from '@keyturn/source';
import type { Credential } from './credential.ts';
import { fingerprintIn } from './credential.ts';
import { fingerprintIn as fingerprintInWord, isMarked, issueWords, type Marks } from './marks.ts';

/** The password in use, which nothing may touch, and those whose place the new one takes. */
export interface Slots {
  readonly current: Credential | undefined;
  readonly replaced: readonly Credential[];
}

interface Question {
  readonly user: string;
  /** The passwords that the user has. */
  readonly live: readonly Credential[];
  readonly marks: Marks;
  readonly rotation: RotationId;
  readonly current: CredentialRef | undefined;
}

/** Decides which passwords are idle: never the one in use, and never one that people have set. */
export function chooseSlots(question: Question): Slots {
  const { live, marks, rotation } = question;
  if (question.current === undefined) {
    const ours = live.filter(({ fingerprint }) => isMarked(marks, fingerprint, { issuedBy: rotation }));
    const [current, ...others] = live.filter((one) => !ours.includes(one));
    if (current === undefined || others.length === 0) return { current, replaced: ours };
    throw cannotTell(`${[current, ...others].map(({ ref }) => ref).join(' and ')} can all log in`);
  }
  const current = named(question, question.current);
  const issued = new Set(issueWords(marks).map(fingerprintInWord));
  return {
    current,
    replaced: live.filter((one) => one !== current && issued.has(one.fingerprint)),
  };
}

function named({ user, live }: Question, ref: CredentialRef): Credential {
  if (fingerprintIn(ref, user) === undefined) {
    throw new SourceError(
      'MISCONFIGURED',
      `The credential in use is ${ref}, which is no password of ${user}.`,
      {
        hint: 'Name the ACL user that the applications log in as in the configuration.',
      },
    );
  }
  const current = live.find((one) => one.ref === ref);
  if (current) return current;
  const holds = live.map((one) => one.ref).join(' and ') || 'no password';
  throw cannotTell(`${ref} is said to be in use, but ${user} has ${holds}`);
}

function cannotTell(what: string): SourceError {
  return new SourceError('AMBIGUOUS', `${what}, so Keyturn can't tell which password is idle.`, {
    hint: "Set the tag keyturn-credential of the secret's current version to the credential that it holds.",
  });
}
