import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parseArgs } from 'node:util';

// One client process with keep-alive connections, as busy as it can be. Prints what it measured as one JSON line.

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    port: { type: 'string' },
    'ca-file': { type: 'string' },
    method: { type: 'string', default: 'GET' },
    /** `N` in it becomes the number of the call, modulo `--names`. */
    path: { type: 'string' },
    names: { type: 'string', default: '1' },
    calls: { type: 'string' },
    connections: { type: 'string', default: '16' },
  },
});

const agent = new Agent({
  keepAlive: true,
  maxSockets: Number(options.connections),
  ca: readFileSync(options['ca-file'] ?? ''),
  host: '127.0.0.1',
  port: Number(options.port),
  // The other contender's certificate names nobody; the handshakes are not what is measured.
  rejectUnauthorized: false,
});
const headers = { Authorization: `Bearer ${process.env['TOKEN'] ?? ''}`, 'Content-Type': 'application/json' };
const body =
  options.method === 'PUT' ? '{"value":"postgres://orders_a:0123456789abcdef@db/orders"}' : undefined;

function call(number: number): Promise<number> {
  const path = options.path?.replace('N', String(number % Number(options.names))) ?? '/';
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const outgoing = request(
      `${options.url}${path}`,
      { agent, method: options.method, headers },
      (answer) => {
        answer.resume();
        answer.once('end', () =>
          answer.statusCode === 200
            ? resolve(performance.now() - started)
            : reject(new Error(`It answered with ${answer.statusCode}.`)),
        );
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

const calls = Number(options.calls);
const latencies: number[] = [];
let next = 0;
const started = performance.now();
await Promise.all(
  Array.from({ length: Number(options.connections) }, async () => {
    while (next < calls) latencies.push(await call((next += 1)));
  }),
);
const seconds = (performance.now() - started) / 1000;
agent.destroy();
latencies.sort((one, other) => one - other);
const at = (share: number): number =>
  Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 100) / 100;
process.stdout.write(
  `${JSON.stringify({ perSecond: Math.round(calls / seconds), p50Ms: at(0.5), p99Ms: at(0.99) })}\n`,
);
