import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that Event Grid made. */
export interface Received {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The only event of an Event Grid body, or the body itself. */
  readonly event: { readonly [key: string]: unknown } & { readonly data: Readonly<Record<string, unknown>> };
}

/** An application's webhook. It agrees to be sent events, and keeps what it is sent. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly handshakes: readonly Received[];
  readonly notifications: readonly Received[];
  /** What becomes of the next notifications; 200 unless told. `hang` never answers. */
  answer: number | 'hang';
  /** What becomes of handshakes. */
  consent: (request: Received, response: ServerResponse) => void;
}

export const agrees: Receiver['consent'] = ({ method, event }, response) => {
  if (method === 'OPTIONS')
    response
      .writeHead(200, { 'WebHook-Allowed-Origin': 'eventgrid.azure.net', 'WebHook-Allowed-Rate': '*' })
      .end();
  else
    response
      .writeHead(200, { 'Content-Type': 'application/json' })
      .end(JSON.stringify({ validationResponse: event.data['validationCode'] }));
};

export async function startReceiver(port = 0): Promise<Receiver> {
  const handshakes: Received[] = [];
  const notifications: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const body = (text === '' ? {} : JSON.parse(text)) as Received['event'] | Received['event'][];
      const [event = { data: {} }] = [body].flat();
      const received = { method: request.method ?? '', headers: request.headers, text, event };
      if (request.headers['aeg-event-type'] === 'Notification') {
        notifications.push(received);
        if (receiver.answer !== 'hang') response.writeHead(receiver.answer).end();
      } else {
        handshakes.push(received);
        receiver.consent(received, response);
      }
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    handshakes,
    notifications,
    answer: 200,
    consent: agrees,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}
