import type { Published, Rotation } from '../rotation.ts';

/** Tells the fleet which version is current. A name and a version, never a value. */
export async function announce(rotation: Rotation, { version }: Pick<Published, 'version'>): Promise<void> {
  rotation.report({ kind: 'phase', phase: 'announce' });
  await rotation.fleet.announce({ secret: rotation.secret, version, spreadMs: 0 });
}
