import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// A version is announced to a thousand instances; the vault and the rotator are stand-ins that count.

const processes = 4;

export interface FleetResult {
  readonly instances: number;
  readonly processes: number;
  /** From the publication to the last report of an adoption. */
  readonly lastAdoptedMs: number;
  readonly medianAdoptedMs: number;
  readonly vaultGets: number;
}

export async function announceToFleet(instances: number): Promise<FleetResult> {
  const streams = new Set<ServerResponse>();
  const adopted = new Map<string, Map<string, number>>(); // by version, then by instance
  let version = 'v1';
  let vaultGets = 0;
  const server = createServer((request, response) => {
    if (request.url === '/secret') {
      vaultGets += 1;
      return response.end(JSON.stringify({ value: 'hunter2', properties: { version } }));
    }
    if (request.url?.startsWith('/v1/announcements')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': connected\n\n');
      streams.add(response);
      return response.on('close', () => streams.delete(response));
    }
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    return request.on('end', () => {
      response.writeHead(204).end();
      const { instance, secrets } = JSON.parse(body) as Report;
      for (const { version: used } of secrets) {
        const byInstance = adopted.get(used) ?? new Map<string, number>();
        adopted.set(used, byInstance);
        if (!byInstance.has(instance)) byInstance.set(instance, performance.now());
      }
    });
  }).listen(0, '127.0.0.1', 2_048);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const program = fileURLToPath(new URL('instances.ts', import.meta.url));
  const each = instances / processes;
  const children = Array.from({ length: processes }, (_, number) =>
    spawn(process.execPath, [program, String(each), url, String(number * each)], {
      stdio: ['pipe', 'ignore', 'inherit'],
    }),
  );
  try {
    const reported = (wanted: string) => adopted.get(wanted)?.size ?? 0;
    await until(() => reported('v1') === instances && streams.size === instances);
    await sleep(1_000); // so that the start has no part in it

    vaultGets = 0;
    version = 'v2';
    const publishedAt = performance.now();
    const frame = `id: 1\nevent: announcement\ndata: {"secret":"orders-db","version":"v2","spreadMs":0}\n\n`;
    for (const stream of streams) stream.write(frame);
    await until(() => reported('v2') === instances);
    const tookMs = [...(adopted.get('v2')?.values() ?? [])]
      .map((at) => at - publishedAt)
      .toSorted((one, other) => one - other);
    return {
      instances,
      processes,
      lastAdoptedMs: Math.round(tookMs.at(-1) ?? 0),
      medianAdoptedMs: Math.round(tookMs[Math.floor(tookMs.length / 2)] ?? 0),
      vaultGets,
    };
  } finally {
    for (const child of children) child.stdin?.end();
    await Promise.all(children.map((child) => once(child, 'exit')));
    server.closeAllConnections();
    server.close();
  }
}

interface Report {
  readonly instance: string;
  readonly secrets: readonly { readonly version: string }[];
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('The fleet did not get there within a minute.');
    await sleep(5);
  }
}
