import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import type { Announcements } from '../fleet/announcements.ts';
import { adoptionReport } from '../fleet/report.ts';
import type { Registry } from '../fleet/registry.ts';

/** Several hundred secrets fit into a report. */
const longestReport = bodyLimit({
  maxSize: 64 * 1024,
  onError: (context) => context.json({ error: 'A report of adoption has at most 64 KiB.' }, 413),
});

/** Instances connect here: announcements out as server-sent events, adoption in. */
export function fleetRoutes(at: {
  announcements: Announcements;
  registry: Registry;
  heartbeatMs: number;
  /** The secrets of a consumer: it hears of these only. */
  secretsOf: (consumer: string | undefined) => readonly string[];
  /** Is every new version of a secret going to be announced, whoever publishes it? Then instances may poll less. */
  watches: (secret: string) => boolean;
  /** Told of every instance that comes (1) and goes (-1). */
  connected?: (change: 1 | -1) => void;
}): Hono {
  const { announcements, registry, heartbeatMs, secretsOf, watches, connected = () => undefined } = at;
  const app = new Hono();

  app.get('/v1/announcements', (context) =>
    streamSSE(context, async (stream) => {
      // Frames leave in the order in which they were announced: each waits for the one before.
      let sent: Promise<unknown> = Promise.resolve();
      const send = (write: () => Promise<unknown>) => (sent = sent.then(write).catch(() => stream.abort()));
      const secrets = secretsOf(context.req.query('consumer'));
      const write = (event: string, data: unknown, id?: number) =>
        send(() =>
          stream.writeSSE({
            event,
            data: JSON.stringify(data),
            ...(id === undefined ? {} : { id: String(id) }),
          }),
        );
      void send(() => stream.write(': connected\n\n'));
      let said: string | undefined;
      /** Instances poll less for what is watched, so they must hear when it no longer is. */
      const sayWatched = () => {
        const watched = secrets.filter(watches);
        if (watched.join() === said) return;
        said = watched.join();
        void write('watched', { secrets: watched });
      };
      sayWatched();
      const theirs = new Set(secrets);
      const lastHeard = Number(context.req.header('last-event-id')) || 0;
      const unsubscribe = announcements.subscribe((announcement, id) => {
        if (theirs.has(announcement.secret)) void write('announcement', announcement, id);
      }, lastHeard);
      const heartbeat = setInterval(() => {
        sayWatched();
        void send(() => stream.write(': beat\n\n'));
      }, heartbeatMs);
      connected(1);
      await new Promise<void>((resolve) => stream.onAbort(resolve));
      connected(-1);
      clearInterval(heartbeat);
      unsubscribe();
    }),
  );

  app.post('/v1/adoption', longestReport, async (context) => {
    const body = adoptionReport.safeParse(await context.req.json().catch(() => undefined));
    if (!body.success) {
      const issue = body.error.issues[0];
      return context.json(
        { error: `Not a report of adoption: ${issue?.path.join('.')} ${issue?.message}` },
        400,
      );
    }
    await registry.record(body.data);
    return context.body(null, 204);
  });

  // Most likely the journal is away. The instance reports again by itself, and the rotation that reads it will tell.
  app.onError((_error, context) => context.json({ error: 'The report could not be kept.' }, 503));
  return app;
}
