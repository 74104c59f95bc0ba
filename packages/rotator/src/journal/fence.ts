import type { Rotation } from '../rotation.ts';

/**
 * The rotation with every request that changes something behind a gate: `mayAct` resolves while this rotator still
 * holds its lock, and never once it doesn't, because then another one may be doing the same. A step may take long,
 * so its beginning is not the moment to ask.
 */
export function fenced(rotation: Rotation, mayAct: () => Promise<void>): Rotation {
  const behind =
    <Arguments extends unknown[], Result>(request: (...all: Arguments) => Promise<Result>) =>
    async (...all: Arguments): Promise<Result> => {
      await mayAct();
      return request(...all);
    };
  const { source, vault } = rotation;
  return {
    ...rotation,
    source: {
      kind: source.kind,
      issue: behind((id, current) => source.issue(id, current)),
      prove: (value) => source.prove(value),
      usage: (ref) => source.usage(ref),
      revoke: behind((ref) => source.revoke(ref)),
      list: () => source.list(),
    },
    vault: {
      url: vault.url,
      current: (secret) => vault.current(secret),
      versions: (secret) => vault.versions(secret),
      read: (secret, version) => vault.read(secret, version),
      publish: behind((secret, value, properties) => vault.publish(secret, value, properties)),
      tag: behind((secret, version, tags) => vault.tag(secret, version, tags)),
      disable: behind((secret, version, tags) => vault.disable(secret, version, tags)),
    },
  };
}
