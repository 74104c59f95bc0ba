import { SourceError, type CredentialRef } from '@keyturn/source';
import { versionTags, type VaultVersion } from '../vault.ts';

/**
 * The credential that a version holds: the one that its tag names. Where it has no tag, the one that the source
 * holds; `toBeTagged` then. Throws where nobody can tell.
 */
export function whichCredential(at: {
  readonly secret: string;
  /** What the source is. */
  readonly kind: string;
  readonly version: Pick<VaultVersion, 'version' | 'tags'>;
  /** What lives at the source. */
  readonly live: readonly CredentialRef[];
}): { readonly ref: CredentialRef; readonly toBeTagged: boolean } {
  const { secret, kind, version, live } = at;
  if (version.tags.credential !== undefined) return { ref: version.tags.credential, toBeTagged: false };
  const [only, ...others] = live;
  if (only === undefined) {
    throw new SourceError('MISCONFIGURED', `${kind} holds no live credential for ${secret}.`, {
      hint: 'Check the names in the configuration of this source.',
    });
  }
  if (others.length > 0) {
    throw new SourceError(
      'AMBIGUOUS',
      `${kind} holds ${live.length} live credentials for ${secret} (${live.join(', ')}), and nothing says which one version ${version.version} holds.`,
      {
        hint: `See which one the value of version ${version.version} logs in with, and set its tag ${versionTags.credential} to that.`,
      },
    );
  }
  return { ref: only, toBeTagged: true };
}
