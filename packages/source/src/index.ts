export { SecretValue } from './secret-value.ts';
export { SourceError, isRefused, type SourceErrorCode } from './source-error.ts';
export type { CredentialRef, Issued, RotationId, Session, Source, Usage } from './source.ts';
