import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { measureEvents } from './rotator/events.ts';

// `npm run bench:rotator`: how much one rotator takes, on the embedded database. Exits with 1 if a goal is missed.

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rotations: { type: 'string', default: '1000' },
    instances: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '5' },
  },
});
const file = (name: string): string => fileURLToPath(new URL(`rotator/${name}.ts`, import.meta.url));
const progress = (line: string): void => void process.stderr.write(`${line}\n`);
const durationMs = 1_000 * Number(options.seconds);

interface Message {
  readonly url?: string;
  readonly connected?: number;
  readonly published?: string;
  readonly heard?: string;
  readonly memoryMb?: number;
  readonly at?: number;
}

async function told(child: ChildProcess, what: keyof Message): Promise<Message> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [Message];
    if (message[what] !== undefined) return message;
  }
}

async function rotations() {
  progress(`${options.rotations} rotations of as many secrets`);
  const { stdout } = await promisify(execFile)(process.execPath, [file('rotations'), options.rotations]);
  return JSON.parse(stdout) as {
    rotations: number;
    closed: number;
    perSecond: number;
    journalBytesEach: number;
    memoryMb: number;
  };
}

async function events(url: string) {
  progress('events at the webhook, one a delivery');
  const headers = { 'keyturn-webhook-key': 'a key for the bench' };
  const load = { url, headers, durationMs, connections: 32 };
  const singly = await measureEvents({ ...load, eventsPerDelivery: 1 });
  progress('events at the webhook, 50 a delivery');
  return { singly, inFifties: await measureEvents({ ...load, eventsPerDelivery: 50 }) };
}

async function reports(url: string) {
  progress('reports of adoption');
  let taken = 0;
  const until = performance.now() + durationMs;
  await Promise.all(
    Array.from({ length: 32 }, async (_, worker) => {
      for (let number = 0; performance.now() < until; number += 1) {
        const secrets = [{ secret: 'orders-db', version: `v${number}`, held: [] }];
        const body = { consumer: 'orders-api', instance: `instance-${worker}-${number % 100}`, secrets };
        const response = await fetch(`${url}/v1/adoption`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        if (response.status === 204) taken += 1;
      }
    }),
  );
  return { perSecond: Math.round((1_000 * taken) / durationMs) };
}

async function announcement(service: ChildProcess, url: string) {
  const instances = Number(options.instances);
  progress(`${instances} connected instances`);
  const children = Array.from({ length: 2 }, () => fork(file('listeners'), [url, String(instances / 2)]));
  await Promise.all(children.map((child) => told(child, 'connected')));
  service.send('publish');
  const { published, at: publishedAt = 0 } = await told(service, 'published');
  const last = children.map((child) => told(child, 'heard'));
  for (const child of children) child.send({ version: published });
  const heardAt = (await Promise.all(last)).map(({ at = 0 }) => at);
  for (const child of children) child.kill();
  return { instances, lastHeardMs: Math.max(...heardAt) - publishedAt };
}

const rotated = await rotations();
const service = fork(file('service'));
const { url = '' } = await told(service, 'url');
const adoption = await reports(url);
const announced = await announcement(service, url);
const accepted = await events(url); // last, because what was accepted is worked off afterwards
service.send('stop');
const { memoryMb } = await told(service, 'memoryMb');

const goals = [
  { what: 'rotations that closed, of all', measured: rotated.closed, atLeast: rotated.rotations },
  {
    what: 'events/s at the webhook, one a delivery',
    measured: accepted.singly.acceptedPerSecond,
    atLeast: 1_000,
  },
].map((goal) => ({ ...goal, reached: goal.measured >= goal.atLeast }));
const result = {
  rotations: rotated,
  events: accepted,
  adoption,
  announced,
  serviceMemoryMb: memoryMb,
  goals,
};

process.stdout.write(
  options.json
    ? `${JSON.stringify(result)}\n`
    : [
        `rotations              ${rotated.perSecond}/s, ${rotated.closed} of ${rotated.rotations} closed, ${rotated.journalBytesEach} bytes of journal each, ${rotated.memoryMb} MB`,
        `events, one a delivery ${accepted.singly.acceptedPerSecond}/s, p99 ${accepted.singly.p99Ms} ms`,
        `events, 50 a delivery  ${accepted.inFifties.acceptedPerSecond}/s, p99 ${accepted.inFifties.p99Ms} ms`,
        `reports of adoption    ${adoption.perSecond}/s`,
        `announcement           heard by the last of ${announced.instances} instances after ${announced.lastHeardMs} ms; the service has ${memoryMb} MB`,
        ...goals.map(
          ({ what, measured, atLeast, reached }) =>
            `${reached ? '✓' : '✗'} ${what}: ${measured} (at least ${atLeast})`,
        ),
        '',
      ].join('\n'),
);
process.exit(goals.every(({ reached }) => reached) ? 0 : 1);
