import type { RotationId } from '@keyturn/source';
import { replacedVersion, rotationId } from '../rotation.ts';
import type { VaultVersion } from '../vault.ts';

/** The rotation that a request is about. */
export type Requested = { readonly id: RotationId; readonly secret: string; readonly from: string };

/**
 * A request inside an open overlap joins the rotation that opened it; any other starts one that replaces the
 * current version. The vault alone decides, so a lost journal changes nothing: a rotation is open as long as
 * another version that it deals with is still enabled beside the current one.
 */
export function whichRotation(
  secret: string,
  current: VaultVersion,
  versions: readonly VaultVersion[],
): Requested {
  const id = current.tags.rotation;
  if (id !== undefined && id.startsWith(`${secret}@`)) {
    const from = replacedVersion(id);
    const open = versions.some(
      ({ version, enabled, tags }) =>
        enabled &&
        version !== current.version &&
        (current.tags.rolledBack ? tags.rotation === id && !tags.rolledBack : version === from),
    );
    if (open) return { id, secret, from };
  }
  return { id: rotationId(secret, current.version), secret, from: current.version };
}
