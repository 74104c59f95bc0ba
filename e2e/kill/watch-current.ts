import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../world.ts';
import type { SourceUnderTest } from './source-under-test.ts';

/** What was current while somebody watched. */
export interface Watched {
  /** Moments at which the current value did not log in. */
  readonly dead: readonly string[];
  /** The values, in the order of their first appearance. */
  readonly values: readonly string[];
}

/** Looks all the time whether the vault's current value logs in. */
export function watchCurrent(
  world: World,
  source: SourceUnderTest,
  pauseMs = 50,
): { stop(): Promise<Watched> } {
  const dead: string[] = [];
  const values = new Set<string>();
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const { value = '', properties } = await world.vault.getSecret(source.secret);
      values.add(value);
      world.values.add(new URL(value).password);
      const answer = await source.logIn(value);
      if (answer !== undefined)
        dead.push(`version ${properties.version} was current and answered with ${answer}`);
      await sleep(pauseMs);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return { dead, values: [...values] };
    },
  };
}
