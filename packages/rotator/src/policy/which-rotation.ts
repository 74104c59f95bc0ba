import type { RotationId } from '@keyturn/source';
import { replacedVersion, rotationId } from '../rotation.ts';
import type { VaultVersion } from '../vault.ts';

/** The rotation that a request is about. */
export type Requested = { readonly id: RotationId; readonly secret: string; readonly from: string };

/**
 * A request inside an open overlap joins the rotation that opened it; any other starts one that replaces the
 * current version. The vault alone decides, so a lost journal changes nothing: a rotation is open until the
 * version that it leaves bears the mark that its credential was seen to be refused. Whether that version is
 * enabled says nothing: people disable and enable versions as they like.
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
      ({ version, tags }) =>
        tags.refusedAt === undefined &&
        version !== current.version &&
        (current.tags.rolledBack ? tags.rotation === id && !tags.rolledBack : version === from),
    );
    if (open) return { id, secret, from };
  }
  return { id: rotationId(secret, current.version), secret, from: current.version };
}
