import { setTimeout as sleep } from 'node:timers/promises';
import type { ContenderName } from './course.ts';
import type { RunningInstance } from './instance.ts';
import type { Recorder } from './recorder.ts';

const requestsPerSecond = 6;

/** Sends requests to an instance at a steady pace until it is stopped; resolves when the last is answered. */
export function startLoad(
  contender: ContenderName,
  instance: RunningInstance,
  recorder: Recorder,
): { stop(): Promise<void> } {
  let stopped = false;
  const underWay = new Set<Promise<void>>();
  const send = async () => {
    const startedAt = Date.now();
    const ok = await instance.request();
    recorder.request(contender, { startedAt, instance: instance.name, ok });
  };
  const loop = (async () => {
    // Instances that all began at once would look like a pulse.
    await sleep((Math.random() * 1_000) / requestsPerSecond);
    while (!stopped) {
      const request: Promise<void> = send().finally(() => underWay.delete(request));
      underWay.add(request);
      await sleep(1_000 / requestsPerSecond);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      await Promise.all(underWay);
    },
  };
}
