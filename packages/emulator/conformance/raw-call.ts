import { request, type Agent } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';

export type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';

export interface RawOptions {
  readonly body?: unknown;
  /** The caller's own token unless told; `null` sends none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The parsed body; undefined when it isn't JSON. */
  readonly body: unknown;
}

/** What curl would do: one https request without a client library. A text is sent as it is, all else as JSON. */
export function rawCall(
  url: string,
  options: Omit<RawOptions, 'token'> & { readonly method: Method; readonly agent?: Agent },
): Promise<RawAnswer> {
  const { body, method, agent, headers = {} } = options;
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method,
      ...(agent === undefined ? {} : { agent }),
      headers: {
        ...(text === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
        ...headers,
      },
    });
    outgoing.on('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const received = Buffer.concat(chunks).toString();
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text: received,
          body: parsed(received),
        });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
