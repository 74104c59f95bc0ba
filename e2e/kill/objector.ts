import { setTimeout as sleep } from 'node:timers/promises';
import { policy, secretName, type World } from '../world.ts';

/** An instance that says of each new version that the source refuses it, until the rotator has taken it back. */
export interface Objector {
  stop(): Promise<void>;
}

export function startObjector(
  world: World,
  old: { readonly version: string },
  urls: readonly string[] = [world.rotatorUrl],
): Objector {
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const { version = '', tags = {} } = (await world.vault.getSecret(secretName)).properties;
      const isBack = version === old.version || tags['keyturn-rolled-back'] !== undefined;
      const objection = { secret: secretName, version: old.version, held: [], refused: { [version]: 1 } };
      const body = isBack ? { secrets: [], leaving: true } : { secrets: [objection] };
      await Promise.all(urls.map((url) => report(url, body)));
      await sleep(50);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
    },
  };
}

/** Between two rotators nobody listens. */
async function report(url: string, body: object): Promise<void> {
  const consumer = policy.consumers[0]?.name;
  const response = await fetch(`${url}/v1/adoption`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ consumer, instance: 'objector', ...body }),
  }).catch(() => undefined);
  await response?.body?.cancel().catch(() => undefined);
}
