import type { RotationId } from '@keyturn/source';
import type { Request } from '../order.ts';
import { replacedVersion, rotationId } from '../rotation.ts';
import type { VaultVersion } from '../vault.ts';

/** The rotation that a request is about. */
export type Requested = {
  readonly id: RotationId;
  /** The vault's URL: secrets of one name in two vaults are rotated apart, also where they share a journal. */
  readonly vault: string;
  readonly secret: string;
  /** The vault version that the rotation replaces. */
  readonly from: string;
  /** Who asked for it, of all who did the first. */
  readonly request?: Request;
};

/**
 * A request inside an open overlap joins the rotation that opened it; any other starts one that replaces the
 * current version. The vault alone decides, so a lost journal changes nothing: a rotation is open until the
 * version that it leaves bears the mark that its credential was seen to be refused. Whether that version is
 * enabled says nothing: people disable and enable versions as they like.
 */
export function whichRotation(at: {
  readonly vault: string;
  readonly secret: string;
  readonly current: VaultVersion;
  readonly versions: readonly VaultVersion[];
}): Requested {
  const { vault, secret, current, versions } = at;
  const id = current.tags.rotation;
  if (id !== undefined && id.startsWith(`${secret}@`)) {
    const from = replacedVersion(id);
    const open = versions.some(
      ({ version, tags }) =>
        tags.refusedAt === undefined &&
        version !== current.version &&
        (current.tags.rolledBack ? tags.rotation === id && !tags.rolledBack : version === from),
    );
    if (open) return { id, vault, secret, from };
  }
  return { id: rotationId(secret, current.version), vault, secret, from: current.version };
}
