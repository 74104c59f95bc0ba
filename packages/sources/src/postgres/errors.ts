import { SourceError, type SourceErrorCode } from '@keyturn/source';

/** Whose login failed: Keyturn's own, or one that is being proven. */
export type LoginOf = 'rotator' | 'application';

interface Thrown {
  readonly code?: string;
  readonly message?: string;
  /** The function of the server that raised it: tells apart what shares a code, in every language. */
  readonly routine?: string | undefined;
}

interface Reading {
  readonly code: SourceErrorCode;
  readonly says: string;
  readonly hint?: string;
}

/**
 * Turns what the driver threw into a `SourceError`. Errors of the driver may carry statements, parameters or the
 * connection's configuration, so nothing of them is kept but the code and a message without `secrets`.
 */
export function toSourceError(
  error: unknown,
  at: { loginOf: LoginOf; secrets?: readonly string[] },
): SourceError {
  if (error instanceof SourceError) return error;
  const { code = '', message = '', routine } = error as Thrown;
  const text = without(at.secrets ?? [], message);
  const { says, hint, ...reading } = read({ code, text, routine, loginOf: at.loginOf });
  return new SourceError(reading.code, `${says}${code === '' ? '' : ` (${code})`}.`, {
    cause: Object.assign(new Error(text), code === '' ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
  });
}

// The codes are in PostgreSQL's documentation, appendix A.
function read(thrown: Thrown & { code: string; text: string; loginOf: LoginOf }): Reading {
  const { code, text, routine, loginOf } = thrown;
  if (code === '28000' && routine === 'ClientAuthentication') return closedDoor;
  if (code.startsWith('28')) return loginRefused[loginOf];
  if (code === '42501') return missingRight(text)[loginOf];
  if (code === '53300')
    return {
      code: 'UNREACHABLE',
      says: 'PostgreSQL takes no more connections',
      hint: 'Raise max_connections or the limit of the role or database, or end connections that nobody needs.',
    };
  if (code === '3D000')
    return {
      code: 'MISCONFIGURED',
      says: 'The database does not exist',
      hint: 'Correct the name of the database.',
    };
  if (mayPass(code, text))
    return {
      code: 'UNREACHABLE',
      says: 'PostgreSQL did not answer',
      hint: 'See that the server runs and that host, port and firewall let Keyturn reach it.',
    };
  if (code.startsWith('42') && loginOf === 'application')
    return {
      code: 'MISCONFIGURED',
      says: `The credential logs in but the probe fails: PostgreSQL answered "${text}"`,
      hint: 'Correct the SQL of the probe, or create what it names.',
    };
  return {
    code: 'UNEXPECTED',
    says: `PostgreSQL answered "${text}"`,
    hint: 'Look the code up in appendix A of the documentation of PostgreSQL, and run again once its cause is gone.',
  };
}

/** The server turned the connection away before it looked at the credential, which may be as good as ever. */
const closedDoor: Reading = {
  code: 'MISCONFIGURED',
  says: 'PostgreSQL takes no connection from here for this role and database',
  hint: 'Add a line to pg_hba.conf that lets the host of the rotator in, and see whether it demands TLS.',
};

const loginRefused: Readonly<Record<LoginOf, Reading>> = {
  application: { code: 'REFUSED', says: 'PostgreSQL refused the login' },
  rotator: {
    code: 'FORBIDDEN',
    says: "PostgreSQL refused Keyturn's own login",
    hint: "Write the rotator role's present login into the secret that the configuration names for it.",
  },
};

function missingRight(text: string): Readonly<Record<LoginOf, Reading>> {
  return {
    application: {
      code: 'MISCONFIGURED',
      says: `The credential logs in but may not do what the probe does: ${text}`,
      hint: 'Grant what the probe needs to the owner role, not to one of the login roles.',
    },
    rotator: {
      code: 'FORBIDDEN',
      says: `The rotator role lacks a right: ${text}`,
      hint: parameterIn(text) ?? 'Run the statements of setupStatements() that were not run yet.',
    },
  };
}

/** Some settings of the role in use are for superusers, and the rotator must copy them to the other role. */
function parameterIn(text: string): string | undefined {
  const parameter = /parameter "(?<name>[\w.]+)"/.exec(text)?.groups?.['name'];
  return parameter === undefined
    ? undefined
    : `Let the rotator's role copy that setting: GRANT SET ON PARAMETER ${parameter} TO it, as a superuser.`;
}

/**
 * Connection lost, shutting down or starting up, out of resources, cancelled by a time-out, a lock not had,
 * a conflict with another transaction; and what Node says of sockets and names.
 */
const passing =
  /^(?:08|57P|57014|53|55P03|40|ECONN|ETIMEDOUT|EHOST|ENET|EPIPE|ENOTFOUND|EAI_|EADDRNOTAVAIL|ENOENT)/;

/** The driver's own time-outs and broken connections have no code. */
function mayPass(code: string, text: string): boolean {
  return code === '' ? /timeout|terminated/i.test(text) : passing.test(code);
}

function without(secrets: readonly string[], message: string): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), message);
}
