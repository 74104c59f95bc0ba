import type { SecretPolicy, Vault } from '@keyturn/rotator';
import type { Source } from '@keyturn/source';
import { postgres } from '@keyturn/sources/postgres';
import { redis } from '@keyturn/sources/redis';
import { toConsumer, type Configuration, type SecretConfiguration } from './schema.ts';

/** The policy and the source of every secret in the configuration. */
export function configuredSecrets(
  config: Configuration,
  vault: Vault,
): { policy: SecretPolicy; source: Source }[] {
  return Object.entries(config.secrets).map(([secret, one]) => ({
    policy: toPolicy(secret, one),
    source: toSource(one.source, vault),
  }));
}

function toPolicy(secret: string, one: SecretConfiguration): SecretPolicy {
  return {
    secret,
    consumers: Object.entries(one.consumers).map(toConsumer),
    ...(one.every === undefined ? {} : { everyMs: one.every }),
    ...(one.windows === undefined ? {} : { windows: one.windows }),
    validityMs: one.validity,
    clockSkewMs: one.clockSkew,
    ...(one.overlap === undefined ? {} : { overlapMs: one.overlap }),
    deadlineMs: one.deadline,
    needsApproval: one.approval,
    emergencyMs: one.emergency,
    ...(one.freshLogin === undefined ? {} : { freshLoginWithinMs: one.freshLogin }),
    pollMs: one.poll,
    requestTimeoutMs: one.requestTimeout,
    retryForMs: one.retryFor,
  };
}

function toSource(source: SecretConfiguration['source'], vault: Vault): Source {
  // Read for each login, so that Keyturn's own credential may be rotated like any other.
  const url = async () => (await vault.current(source.admin.secret)).value.reveal();
  switch (source.kind) {
    case 'postgres': {
      const { roles, owner, host, port, database, parameters, format, probe } = source;
      return postgres({
        roles,
        owner,
        template: { host, port, database, parameters },
        format,
        ...(probe === undefined ? {} : { probe }),
        admin: async () => ({ connectionString: await url() }),
      });
    }
    case 'redis': {
      const { user, host, port, tls, database, format } = source;
      return redis({
        user,
        template: { host, port, tls, ...(database === undefined ? {} : { database }) },
        format,
        admin: async () => ({ url: await url() }),
      });
    }
  }
}
