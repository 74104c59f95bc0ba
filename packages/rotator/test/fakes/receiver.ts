import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SecretValue } from '@keyturn/source';

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a receiver does with a request: a status, headers with it, or no answer at all. */
export type Answer = number | { readonly status: number; readonly headers: Record<string, string> } | 'none';

/** A real HTTP server on loopback that keeps what it is sent. */
export interface Receiver {
  readonly received: Received[];
  answer: (request: Received) => Answer;
  /** As a target has it. The path stands for what makes the URL of a webhook a secret. */
  readonly url: () => Promise<SecretValue>;
  readonly port: number;
  close(): Promise<void>;
}

export const secretPath = '/services/T000/B000/s3cretHookPath';

export async function openReceiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const seen = { path: request.url ?? '', headers: request.headers, body };
      receiver.received.push(seen);
      const answer = receiver.answer(seen);
      if (answer === 'none') return;
      if (typeof answer === 'number') response.writeHead(answer).end('ok');
      else response.writeHead(answer.status, answer.headers).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    received: [],
    answer: () => 200,
    url: async () => new SecretValue(`http://127.0.0.1:${port}${secretPath}`),
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}
