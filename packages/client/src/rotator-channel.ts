import type { SecretAdoption } from './adoption.ts';
import { openAdoptionReports } from './adoption-reports.ts';
import { openAnnouncementStream, type Announcement } from './announcement-stream.ts';
import { requireDuration, type Clock } from './clock.ts';
import { SecretsError } from './secrets-error.ts';

/** Where the rotator is and who this instance is. */
export interface RotatorOptions {
  /** For example `http://keyturn.internal:7420`. */
  readonly url: string;
  /** The application, as the rotator's configuration names it. */
  readonly consumer: string;
  /**
   * This process or thread; no other that runs may have the same name. Default: host name, process id, thread id and
   * a random part.
   */
  readonly instance?: string;
  /**
   * What shows the rotator who this is, where it asks for tokens: `rotatorToken(scope)` of `@keyturn/client/azure`. Asked
   * for each request, so it has to keep a token for as long as that is valid. Needs https, but on this machine.
   */
  readonly token?: () => Promise<string>;
  /** The longest pause between two attempts to connect, milliseconds; default 5,000. */
  readonly reconnectMaxMs?: number;
  /** How old a value may get while the rotator is connected and watches the secret, milliseconds; default 12 hours. */
  readonly safetyTtlMs?: number;
  /** How often adoption is reported without a change, milliseconds; default 10,000. */
  readonly reportEveryMs?: number;
  /** Silence after which the connection counts as dead, milliseconds; default 45,000 (the rotator beats every 15 s). */
  readonly heartbeatTimeoutMs?: number;
}

/** Announcements in, adoption out. That the rotator can't be reached is told to `unreachable` and harms nothing. */
export interface RotatorChannel {
  /** Something that is reported may have changed. */
  changed(): void;
  readonly isConnected: () => boolean;
  /** Says goodbye. */
  close(): Promise<void>;
}

export function openRotatorChannel(
  options: RotatorOptions,
  at: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly report: () => readonly SecretAdoption[];
    readonly isInUse: () => boolean;
    readonly announced: (announcement: Announcement) => void;
    /** The secrets of which every new version will be announced from now on; none when the connection is lost. */
    readonly watches: (secrets: readonly string[]) => void;
    readonly unreachable: (failure: { readonly error: SecretsError; readonly retryInMs: number }) => void;
  },
): RotatorChannel {
  const {
    consumer,
    instance = thisThread(),
    reconnectMaxMs = 5_000,
    reportEveryMs = 10_000,
    heartbeatTimeoutMs = 45_000,
  } = options;
  requireDuration('reconnectMaxMs', reconnectMaxMs);
  requireDuration('reportEveryMs', reportEveryMs);
  requireDuration('heartbeatTimeoutMs', heartbeatTimeoutMs);
  if (!isHttpUrl(options.url) || !consumer || !instance) {
    throw new SecretsError(
      'OPTIONS_INVALID',
      'The rotator needs a url such as http://keyturn.internal:7420, without user and password, and a consumer; an instance is a name, or left out.',
    );
  }
  if (options.token && !isPrivate(new URL(options.url))) {
    throw new SecretsError(
      'OPTIONS_INVALID',
      'A token is sent by https only, but to this machine itself. Give the rotator an https url, or leave the token out.',
    );
  }
  const url = options.url.endsWith('/') ? options.url : `${options.url}/`; // it may have a path
  const authorization = async (): Promise<Readonly<Record<string, string>>> =>
    options.token ? { authorization: `Bearer ${await options.token()}` } : {};
  const common = { url, consumer, instance, authorization, clock: at.clock, random: at.random };
  const failed =
    (what: string) =>
    ({ cause, retryInMs }: { cause: unknown; retryInMs: number }) =>
      at.unreachable({ error: unreachable(`${what} ${options.url}`, cause), retryInMs });

  const reports = openAdoptionReports({
    ...common,
    reportEveryMs,
    report: at.report,
    isInUse: at.isInUse,
    retryMaxMs: reconnectMaxMs,
    failed: failed('Could not report adoption to the rotator'),
  });
  const streamFailed = failed('No announcements from the rotator');
  let isConnected = false;
  const stream = openAnnouncementStream({
    ...common,
    heartbeatTimeoutMs,
    reconnectMaxMs,
    announced: at.announced,
    watches: at.watches,
    connected() {
      isConnected = true;
      reports.repeat();
    },
    failed(failure) {
      isConnected = false;
      at.watches([]);
      streamFailed(failure);
    },
  });
  return {
    changed: () => reports.changed(),
    isConnected: () => isConnected,
    async close() {
      isConnected = false;
      stream.close();
      await reports.close();
    },
  };
}

/** One with user and password is none: `fetch` refuses it, and errors would quote it. */
function isHttpUrl(text: string): boolean {
  const { protocol = '', username, password } = URL.parse(text) ?? {};
  return /^https?:$/.test(protocol) && !username && !password;
}

function isPrivate({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

function thisThread(): string {
  const { hostname } = process.getBuiltinModule('node:os');
  const { threadId } = process.getBuiltinModule('node:worker_threads');
  return `${hostname()}-${process.pid}-${threadId}-${crypto.randomUUID().slice(0, 8)}`;
}

function unreachable(what: string, cause: unknown): SecretsError {
  const { message, cause: deeper } = cause as { message?: string; cause?: { code?: string } };
  const reason = deeper?.code ?? message ?? 'no answer';
  return new SecretsError(
    'ROTATOR_UNREACHABLE',
    `${what}: ${reason}. Secrets are still refreshed by their TTL; check the rotator's URL.`,
    { cause },
  );
}
