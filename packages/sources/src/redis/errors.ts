import { SourceError, type SourceErrorCode } from '@keyturn/source';
import { ErrorReply } from 'redis';
import { rightOf } from './setup.ts';

interface At {
  /** Whose login failed: Keyturn's own, or one that is being proven. */
  readonly loginOf: 'rotator' | 'application';
  readonly secrets: readonly string[];
  /** The ACL user that Keyturn logs in as, and the command that failed. */
  readonly rotator?: string;
  readonly words?: readonly string[];
}

interface Reading {
  readonly code: SourceErrorCode;
  readonly says: string;
  readonly hint: string;
}

/**
 * Turns what the driver threw into a `SourceError`. Errors of the driver may carry the command, and the server quotes
 * what it does not understand, so nothing is kept but a message without secrets and without hashes of passwords.
 */
export function toSourceError(error: unknown, at: At): SourceError {
  if (error instanceof SourceError) return error;
  const { message = '', code = '' } = error as { message?: string; code?: string };
  const text = clean(message, at.secrets);
  const { says, hint, ...reading } =
    error instanceof ErrorReply ? readReply(text, at) : readFailure(text, code);
  return new SourceError(reading.code, `${says}${code === '' ? '' : ` (${code})`}.`, {
    cause: Object.assign(new Error(text), code === '' ? {} : { code }),
    hint,
  });
}

/** True if the server said that the login may not do this: for "don't know", look at nothing else. */
export function isNoPermission(error: unknown): boolean {
  return error instanceof ErrorReply && error.message.startsWith('NOPERM');
}

function readReply(text: string, at: At): Reading {
  const [word = ''] = text.split(' ', 1);
  if (word === 'WRONGPASS' || word === 'NOAUTH') return loginRefused[at.loginOf];
  if (word === 'NOPERM') return lackingRight(text, at);
  if (word === 'DENIED') return closedDoor;
  if (/unknown command '?`?hello|^NOPROTO/i.test(text)) return tooOld;
  if (passing.test(text))
    return {
      code: 'UNREACHABLE',
      says: `Redis does not serve at the moment: it answered "${text}"`,
      hint: 'Wait until it has started, or end connections and scripts that nobody needs.',
    };
  return {
    code: 'UNEXPECTED',
    says: `Redis answered "${text}"`,
    hint: "See the server's log, and run again once the cause is gone.",
  };
}

function readFailure(text: string, code: string): Reading {
  if (/CERT|SELF_SIGNED|SSL/.test(code))
    return {
      code: 'MISCONFIGURED',
      says: `There is no TLS with Redis: ${text}`,
      hint: 'See that the server speaks TLS at this port, and let Keyturn trust its certificate: NODE_EXTRA_CA_CERTS.',
    };
  return {
    code: 'UNREACHABLE',
    says: 'Redis did not answer',
    hint: 'See that the server runs and that host, port, TLS and firewall let Keyturn reach it.',
  };
}

/** Starting up, too many connections, a script that does not end, a master that is away, out of memory. */
const passing = /^(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|OOM)|max number of clients/;

const loginRefused: Readonly<Record<At['loginOf'], Reading>> = {
  application: {
    code: 'REFUSED',
    says: 'Redis refused the login',
    hint: 'The password was removed from the ACL user, or the user is off.',
  },
  rotator: {
    code: 'FORBIDDEN',
    says: "Redis refused Keyturn's own login",
    hint: 'Write its present URL into the secret that the configuration names for it.',
  },
};

const closedDoor: Reading = {
  code: 'MISCONFIGURED',
  says: 'Redis is in protected mode and takes no connection from here',
  hint: 'Give its user "default" a password or turn it off, then set protected-mode to no.',
};

const tooOld: Reading = {
  code: 'MISCONFIGURED',
  says: 'The server knows no ACL users; Keyturn needs Redis 6 or newer',
  hint: 'Upgrade the server.',
};

function lackingRight(text: string, { rotator = 'keyturn', words = [] }: At): Reading {
  return {
    code: 'FORBIDDEN',
    says: `Keyturn's ACL user ${rotator} lacks a right: ${text}`,
    hint:
      words.length === 0 ? 'Run the command of setupCommand().' : `ACL SETUSER ${rotator} +${rightOf(words)}`,
  };
}

/** The server cuts what it quotes of a command, so that a part of a secret would be left: all of it goes. */
function clean(message: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret !== '')
    .reduce((text, secret) => text.replaceAll(secret, '[secret]'), message)
    .replace(/,? with args beginning with:[^]*$/, '')
    .replaceAll(/[0-9a-f]{64}/g, '[hash]');
}
