export { SecretValue } from './secret-value.ts';
export { SourceError, isRefused, type SourceErrorCode } from './source-error.ts';
export type {
  CredentialRef,
  Inspection,
  Issued,
  RotationId,
  Session,
  Source,
  SourceFinding,
  Usage,
} from './source.ts';
