import { request } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import type { Emulator } from '../src/index.ts';

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Json;
}

/** A parsed body, loose enough to reach into. */
export type Json = { readonly [key: string]: Json } & { readonly error: Json };

export interface RawCall {
  readonly method?: string;
  readonly body?: unknown;
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
}

export async function tokenOf(vault: Emulator): Promise<string> {
  return (await vault.credential.getToken('https://vault.azure.net/.default')).token;
}

/** What curl would do: one request without a client library, with a valid token unless told otherwise. */
export async function call(vault: Emulator, path: string, options: RawCall = {}): Promise<RawAnswer> {
  const token = 'token' in options ? options.token : await tokenOf(vault);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      path.startsWith('https:') ? path : vault.vaultUrl + path,
      {
        agent: vault.clientOptions.agent,
        method: options.method ?? 'GET',
        headers: {
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
          ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...options.headers,
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const json = (text === '' ? {} : JSON.parse(text)) as Json;
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(typeof options.body === 'string' ? options.body : JSON.stringify(options.body));
  });
}

export function nextLink(answer: RawAnswer): string {
  const link: unknown = answer.json['nextLink'];
  return typeof link === 'string' ? link : '';
}
