import { Agent, request } from 'node:http';
import { randomUUID } from 'node:crypto';

// What the rotator's webhook accepts: deliveries as Event Grid makes them, over connections that are kept, as fast as
// they are answered. It only needs the address, so that the rotator can run in a process of its own.

export interface EventLoad {
  /** The rotator's address, for example `http://127.0.0.1:7420`. */
  readonly url: string;
  /** How the sender shows who it is: `{ 'keyturn-webhook-key': … }` or `{ authorization: 'Bearer …' }`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly durationMs: number;
  readonly connections: number;
  readonly eventsPerDelivery: number;
  /** True sends the same event over and over; otherwise each is about a version of its own. */
  readonly copies?: boolean;
}

export interface EventsMeasured {
  readonly acceptedPerSecond: number;
  readonly accepted: number;
  /** Deliveries that were answered with anything but 202. */
  readonly refused: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

export async function measureEvents(load: EventLoad): Promise<EventsMeasured> {
  const { durationMs, connections, eventsPerDelivery, copies = false } = load;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies: number[] = [];
  let refused = 0;
  let number = 0;
  const nextBody = () =>
    JSON.stringify(
      Array.from({ length: eventsPerDelivery }, () => eventOf(copies ? 'v1' : `v${(number += 1)}`)),
    );

  const started = performance.now();
  const until = started + durationMs;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < until) {
        const sent = performance.now();
        if ((await deliver(load, agent, nextBody())) === 202) latencies.push(performance.now() - sent);
        else refused += 1;
      }
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  agent.destroy();

  latencies.sort((one, other) => one - other);
  const at = (share: number) => rounded(latencies[Math.floor((latencies.length - 1) * share)] ?? 0);
  const accepted = latencies.length * eventsPerDelivery;
  return {
    acceptedPerSecond: Math.round(accepted / seconds),
    accepted,
    refused,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    longestMs: at(1),
  };
}

function deliver({ url, headers }: EventLoad, agent: Agent, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}/v1/events`,
      {
        agent,
        method: 'POST',
        headers: {
          ...headers,
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
          'aeg-event-type': 'Notification',
        },
      },
      (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode));
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

function eventOf(version: string): object {
  const secret = 'orders-db';
  return {
    id: randomUUID(),
    topic: '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/orders',
    subject: secret,
    eventType: 'Microsoft.KeyVault.SecretNewVersionCreated',
    data: {
      Id: `https://orders.vault.azure.net/secrets/${secret}/${version}`,
      VaultName: 'orders',
      ObjectType: 'Secret',
      ObjectName: secret,
      Version: version,
      NBF: null,
      EXP: null,
    },
    dataVersion: '1',
    metadataVersion: '1',
    eventTime: new Date().toISOString(),
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
