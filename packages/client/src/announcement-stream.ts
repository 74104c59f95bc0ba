import type { IncomingMessage } from 'node:http';
import { backoffMs } from './backoff.ts';
import { cancelNothing, type Clock } from './clock.ts';
import { serverSentEvents, type ServerSentEvent } from './event-stream.ts';

/** "Secret S now has version V"; read it within `spreadMs`, each instance at a moment of its own. */
export interface Announcement {
  readonly secret: string;
  readonly version: string;
  readonly spreadMs: number;
}

/**
 * Listens to the rotator, `GET /v1/announcements`, and connects again for ever, with a jittered backoff. The
 * rotator says all that stands at every connect, so nothing is lost in between.
 *
 * It speaks through node:http because its socket can be unref'd: with fetch() an open stream would keep the
 * process alive.
 */
export function openAnnouncementStream(at: {
  readonly url: string;
  readonly consumer: string;
  readonly instance: string;
  readonly authorization: () => Promise<Readonly<Record<string, string>>>;
  /** Silence longer than this means that the connection is dead. */
  readonly heartbeatTimeoutMs: number;
  readonly reconnectMaxMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly announced: (announcement: Announcement) => void;
  /** The rotator will announce every new version of these secrets for as long as it is connected. */
  readonly watches: (secrets: readonly string[]) => void;
  readonly connected: () => void;
  /** The connection is lost, or there is none; it is tried again. */
  readonly failed: (failure: { readonly cause: unknown; readonly retryInMs: number }) => void;
}): { close(): void } {
  const { clock, random } = at;
  const url = new URL('v1/announcements', at.url);
  url.searchParams.set('consumer', at.consumer);
  url.searchParams.set('instance', at.instance);
  let lastEventId: string | undefined;
  let attempts = 0;
  let cancelTimer = cancelNothing;
  let connection: AbortController | undefined;

  async function listen(): Promise<void> {
    const ours = (connection = new AbortController());
    let cancelSilence = cancelNothing;
    const heard = () => {
      cancelSilence();
      cancelSilence = clock.after(at.heartbeatTimeoutMs, () =>
        ours.abort(new Error(`Silent for ${at.heartbeatTimeoutMs} ms.`)),
      );
    };
    heard();
    let connectedAt = Infinity;
    let cause: unknown = new Error('The rotator ended the stream.');
    try {
      const authorization = await at.authorization();
      const response = await openStream(url, { lastEventId, authorization, signal: ours.signal });
      response.setEncoding('utf8').on('data', heard);
      connectedAt = clock.now();
      at.connected();
      for await (const event of serverSentEvents(response as AsyncIterable<string>)) receive(event);
    } catch (error) {
      cause = ours.signal.aborted ? ours.signal.reason : error;
    } finally {
      cancelSilence();
    }
    if (connection !== ours) return; // closed
    // A server that accepts and hangs up at once is no better than one that is down.
    attempts = clock.now() - connectedAt >= at.reconnectMaxMs ? 1 : attempts + 1;
    const retryInMs = backoffMs({ attempt: attempts, random, firstMs: 50, maxMs: at.reconnectMaxMs });
    cancelTimer = clock.after(retryInMs, () => void listen());
    at.failed({ cause, retryInMs });
  }

  function receive({ id, event, data }: ServerSentEvent): void {
    if (id !== undefined && mayBeInHeader.test(id)) lastEventId = id === '' ? undefined : id;
    // A newer rotator may say more than this client knows; what it can't read it leaves to the TTL.
    const told = fields(data);
    const announcement = event === 'announcement' ? toAnnouncement(told) : undefined;
    if (announcement) at.announced(announcement);
    if (event === 'watched' && Array.isArray(told['secrets']))
      at.watches(told['secrets'].filter((secret) => typeof secret === 'string'));
  }

  void listen();
  return {
    close() {
      cancelTimer();
      const last = connection;
      connection = undefined;
      last?.abort();
    },
  };
}

/** With anything else every further request would fail. */
const mayBeInHeader = /^[\x20-\x7e]{0,200}$/;

async function openStream(
  url: URL,
  at: {
    readonly lastEventId: string | undefined;
    readonly authorization: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<IncomingMessage> {
  const { lastEventId, authorization, signal } = at;
  // Loaded here, because an application without a rotator has no need of it.
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  return new Promise((resolve, reject) => {
    const headers = {
      accept: 'text/event-stream',
      ...authorization,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    };
    request(url, { headers, signal, agent: false })
      .on('socket', (socket) => socket.unref())
      .on('error', reject)
      .on('response', (response) => {
        if (response.statusCode === 200) return resolve(response);
        response.destroy();
        reject(new Error(`HTTP ${response.statusCode}`));
      })
      .end();
  });
}

function fields(data: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(data) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function toAnnouncement({
  secret,
  version,
  spreadMs,
}: Readonly<Record<string, unknown>>): Announcement | undefined {
  if (typeof secret !== 'string' || typeof version !== 'string') return undefined;
  return {
    secret,
    version,
    spreadMs: Number.isFinite(spreadMs) ? Math.max(0, Number(spreadMs)) : 0,
  };
}
