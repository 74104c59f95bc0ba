export { openSecrets } from './secrets.ts';
export type { Hold, SecretHandle, Secrets, SecretsOptions } from './secrets.ts';
export type { RotatorOptions } from './rotator-channel.ts';
export type { SecretsEvents, SecretsListener } from './events.ts';
export { SecretsError, type SecretsErrorCode } from './secrets-error.ts';
export { isRefusal } from './refusal.ts';
export type { Secret } from './secret.ts';
export type { SecretVault } from './vault.ts';
export type { Clock } from './clock.ts';
