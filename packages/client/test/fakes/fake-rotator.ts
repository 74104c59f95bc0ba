import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Report {
  readonly consumer: string;
  readonly instance: string;
  readonly secrets: readonly {
    readonly secret: string;
    readonly version: string;
    readonly held: readonly string[];
    readonly authenticatedAt?: string;
    readonly refused: Readonly<Record<string, number>>;
  }[];
  readonly leaving?: boolean;
}

/** The rotator's side of the protocol, over real HTTP. */
export interface FakeRotator {
  readonly url: string;
  readonly reports: readonly Report[];
  /** Headers and query of every connect, in order. */
  readonly connects: readonly { readonly headers: IncomingHttpHeaders; readonly url: string }[];
  readonly mostReportsAtOnce: number;
  /** How each request showed who it is. */
  readonly authorizations: readonly (string | undefined)[];
  announce(secret: string, version: string, spreadMs?: number): void;
  /** Promises to announce every new version of these. */
  watch(secrets: readonly string[]): void;
  send(text: string): void;
  /** Ends every open stream. */
  hangUp(): void;
  /** While false, every request is answered 503. */
  healthy: boolean;
  close(): Promise<void>;
}

export async function startFakeRotator(): Promise<FakeRotator> {
  const streams = new Set<ServerResponse>();
  const reports: Report[] = [];
  const authorizations: (string | undefined)[] = [];
  const connects: { headers: IncomingHttpHeaders; url: string }[] = [];
  const standing = new Map<string, string>();
  let lastId = 0;
  let reporting = 0;
  let most = 0;

  const server = createServer((request, response) => {
    const url = request.url ?? '';
    authorizations.push(request.headers.authorization);
    if (!rotator.healthy) return response.writeHead(503).end();
    if (url.startsWith('/v1/announcements')) {
      connects.push({ headers: request.headers, url });
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': connected\n\n');
      for (const frame of standing.values()) response.write(frame);
      streams.add(response);
      return response.on('close', () => streams.delete(response));
    }
    reporting += 1;
    most = Math.max(most, reporting);
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    return request.on('end', () => {
      setTimeout(() => {
        reporting -= 1;
        reports.push(JSON.parse(body) as Report);
        response.writeHead(204).end();
      }, 5);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const rotator: FakeRotator = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reports,
    connects,
    authorizations,
    healthy: true,
    get mostReportsAtOnce() {
      return most;
    },
    announce(secret, version, spreadMs = 0) {
      lastId += 1;
      const frame = `id: ${lastId}\nevent: announcement\ndata: ${JSON.stringify({ secret, version, spreadMs })}\n\n`;
      standing.set(secret, frame);
      rotator.send(frame);
    },
    watch: (names) => rotator.send(`event: watched\ndata: ${JSON.stringify({ secrets: names })}\n\n`),
    send(text) {
      for (const stream of streams) stream.write(text);
    },
    hangUp() {
      for (const stream of streams) stream.destroy();
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return rotator;
}
