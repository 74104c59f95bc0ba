import type { LiveSecret, SecretHealth } from './live-secret.ts';

/** How the secrets of an application are, at one moment. No value is in it, so it may be shown. */
export interface SecretsHealth {
  /** Every secret that was asked for has a value to serve, maybe a stale one. */
  readonly healthy: boolean;
  readonly secrets: readonly SecretHealth[];
  /** Undefined where no rotator was given. Without its connection the TTL applies, and no rotation goes on. */
  readonly rotator: 'connected' | 'disconnected' | undefined;
}

export function healthOf(secrets: readonly LiveSecret[], isConnected: boolean | undefined): SecretsHealth {
  const each = secrets.map((secret) => secret.health());
  return {
    healthy: each.every(({ state }) => state === 'fresh' || state === 'stale'),
    secrets: each,
    rotator: isConnected === undefined ? undefined : isConnected ? 'connected' : 'disconnected',
  };
}
