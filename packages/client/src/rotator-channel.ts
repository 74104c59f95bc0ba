import type { SecretAdoption } from './adoption.ts';
import { openAdoptionReports } from './adoption-reports.ts';
import { openAnnouncementStream, type Announcement } from './announcement-stream.ts';
import type { Clock } from './clock.ts';
import { SecretsError } from './secrets-error.ts';

/** Where the rotator is and who this instance is. */
export interface RotatorOptions {
  /** For example `http://keyturn.internal:7420`. */
  readonly url: string;
  /** The application, as the rotator's configuration names it. */
  readonly consumer: string;
  /** This process; no other running process of the consumer may have the same name. */
  readonly instance: string;
  /** The longest pause between two attempts to connect, milliseconds; default 5,000. */
  readonly reconnectMaxMs?: number;
  /** How often adoption is reported without a change, milliseconds; default 10,000. */
  readonly reportEveryMs?: number;
  /** Silence after which the connection counts as dead, milliseconds; default 45,000 (the rotator beats every 15 s). */
  readonly heartbeatTimeoutMs?: number;
}

/** Announcements in, adoption out. That the rotator can't be reached is told to `unreachable` and harms nothing. */
export interface RotatorChannel {
  /** Something that is reported may have changed. */
  changed(): void;
  /** Says goodbye. */
  close(): Promise<void>;
}

export function openRotatorChannel(
  options: RotatorOptions,
  at: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly report: () => readonly SecretAdoption[];
    readonly announced: (announcement: Announcement) => void;
    readonly unreachable: (failure: { readonly error: SecretsError; readonly retryInMs: number }) => void;
  },
): RotatorChannel {
  const {
    consumer,
    instance,
    reconnectMaxMs = 5_000,
    reportEveryMs = 10_000,
    heartbeatTimeoutMs = 45_000,
  } = options;
  if (!URL.canParse(options.url) || !consumer || !instance) {
    throw new SecretsError(
      'OPTIONS_INVALID',
      'The rotator needs a url such as http://keyturn.internal:7420, a consumer and an instance.',
    );
  }
  const url = options.url.endsWith('/') ? options.url : `${options.url}/`; // it may have a path
  const common = { url, consumer, instance, clock: at.clock, random: at.random };
  const failed =
    (what: string) =>
    ({ cause, retryInMs }: { cause: unknown; retryInMs: number }) =>
      at.unreachable({ error: unreachable(`${what} ${options.url}`, cause), retryInMs });

  const reports = openAdoptionReports({
    ...common,
    reportEveryMs,
    report: at.report,
    retryMaxMs: reconnectMaxMs,
    failed: failed('Could not report adoption to the rotator'),
  });
  const stream = openAnnouncementStream({
    ...common,
    heartbeatTimeoutMs,
    reconnectMaxMs,
    announced: at.announced,
    connected: () => reports.repeat(),
    failed: failed('No announcements from the rotator'),
  });
  return {
    changed: () => reports.changed(),
    async close() {
      stream.close();
      await reports.close();
    },
  };
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
