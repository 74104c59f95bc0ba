import type { SecretAdoption } from './adoption.ts';
import { backoffMs } from './backoff.ts';
import { cancelNothing, type Clock } from './clock.ts';

/** Sends what is adopted here to the rotator, `POST /v1/adoption`. */
export interface AdoptionReports {
  /** Something may have changed: it is reported at once, unless the rotator knows it already. */
  changed(): void;
  /** Reports everything, known or not. */
  repeat(): void;
  /** Says goodbye, within a few seconds at most. */
  close(): Promise<void>;
}

/** Characters; names are ASCII, but for those of consumer and instance. */
const longestPart = 48 * 1_024;
const postTimeoutMs = 5_000;
const goodbyeTimeoutMs = 2_000;

/**
 * One report is in flight at a time and each carries the whole state (a very long one in parts), so a late one never
 * hides a newer one.
 * `failed` is called when a report was not taken; it is tried again by itself.
 */
export function openAdoptionReports(at: {
  readonly url: string;
  readonly consumer: string;
  readonly instance: string;
  readonly authorization: () => Promise<Readonly<Record<string, string>>>;
  readonly reportEveryMs: number;
  readonly retryMaxMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly report: () => readonly SecretAdoption[];
  readonly isInUse: () => boolean;
  readonly failed: (failure: { readonly cause: unknown; readonly retryInMs: number }) => void;
}): AdoptionReports {
  const { consumer, instance, clock, random } = at;
  let known = ''; // what the rotator was told last
  let again = false;
  let sending: Promise<void> | undefined;
  let failures = 0;
  let closed = false;
  let cancelTimer = cancelNothing;
  const stop = new AbortController();

  async function post(body: object, signal: AbortSignal): Promise<void> {
    const response = await fetch(new URL('v1/adoption', at.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(await at.authorization()) },
      body: JSON.stringify({ consumer, instance, ...body }),
      signal,
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
  }

  function nothingNew(): boolean {
    return digest(at.report()) === known;
  }

  async function send(): Promise<void> {
    await Promise.resolve(); // changes of the same moment travel together
    cancelTimer();
    again = false;
    let waitMs = at.reportEveryMs;
    const secrets = at.report();
    try {
      for (const part of parts(secrets))
        await post({ secrets: part }, AbortSignal.any([stop.signal, AbortSignal.timeout(postTimeoutMs)]));
      known = digest(secrets);
      failures = 0;
    } catch (cause) {
      if (closed) return;
      failures += 1;
      waitMs = backoffMs({ attempt: failures, random, firstMs: 100, maxMs: at.retryMaxMs });
      at.failed({ cause, retryInMs: waitMs });
    }
    sending = undefined;
    if (closed) return;
    cancelTimer = clock.after(waitMs, begin);
    if (failures === 0 && (again || !nothingNew())) begin();
  }

  function begin(): void {
    if (!closed) sending ??= send();
  }

  begin();
  return {
    changed() {
      // After a failure the timer decides, or a burst of changes would hammer a rotator that is down.
      if (failures === 0 && !nothingNew()) begin();
    },
    repeat() {
      again = true;
      begin();
    },
    async close() {
      if (closed) return;
      closed = true;
      cancelTimer();
      const impatience = setTimeout(() => stop.abort(), goodbyeTimeoutMs);
      await sending;
      clearTimeout(impatience);
      // A pool that was not ended lives on with its credential: then no goodbye, and the lease has to run out.
      const goodbye = at.isInUse() ? {} : { leaving: true };
      await post({ secrets: at.report(), ...goodbye }, AbortSignal.timeout(goodbyeTimeoutMs)).catch(
        () => {}, // the rotator notices the silence
      );
    },
  };
}

/** The rotator takes 64 KiB at once; what is told of one secret is told whole. */
function parts(secrets: readonly SecretAdoption[]): readonly (readonly SecretAdoption[])[] {
  const all: SecretAdoption[][] = [[]];
  let length = 0;
  for (const one of secrets) {
    const more = JSON.stringify(one).length;
    if (length > 0 && length + more > longestPart) {
      all.push([]);
      length = 0;
    }
    all.at(-1)?.push(one);
    length += more;
  }
  return all;
}

/** What must be told at once. That one more login succeeded or failed can wait for the next report. */
function digest(secrets: readonly SecretAdoption[]): string {
  return JSON.stringify(
    secrets.map(({ secret, version, held, authenticatedAt, refused }) => [
      secret,
      version,
      held.toSorted(),
      authenticatedAt !== undefined,
      Object.keys(refused).toSorted(),
    ]),
  );
}
