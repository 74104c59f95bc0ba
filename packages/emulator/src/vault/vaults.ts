import { randomUUID } from 'node:crypto';
import type { ChangeLog } from '../change-log.ts';
import { EmulatorError } from '../emulator-error.ts';
import type { EventGrid } from '../events/event-grid.ts';
import { derivedId, type Directory } from '../identity/directory.ts';
import type { Site } from '../network/sites.ts';
import type { CheckedOptions, VaultSettings } from '../options.ts';
import type { AuditEvent } from './audit.ts';
import { createAuthorization } from './authorization.ts';
import type { BackupBlobs } from './backup-blob.ts';
import { answerUnknownVault, createDataPlane, type Authenticate } from './data-plane.ts';
import type { FaultPlan } from './faults.ts';
import { readSetBody } from './request-body.ts';
import { openSecretStore, type SecretWatcher } from './secret-store.ts';
import type { NamedVersion, SecretStore } from './secret.ts';
import { createThrottle, noThrottle } from './throttle.ts';

export const vaultUrlOf = (name: string): string => `https://${name}.vault.azure.net`;

/** What a vault is called in Azure's control plane. */
export const vaultResourceId = (name: string): string =>
  `/subscriptions/${derivedId('subscription')}/resourceGroups/keyturn/providers/Microsoft.KeyVault/vaults/${name}`;

// For curl without a name.
const loopback = new Set(['localhost', '127.0.0.1']);
const vaultHost = /^(?<name>[^.]+)\.vault\.(?:azure\.net|localhost)$/;

/** The vaults, each under a name of its own; the first one under the loopback interface's too. */
export function openVaults(
  options: Pick<CheckedOptions, 'vaults' | 'softDelete' | 'emptyPages' | 'throttling' | 'onHint'> & {
    readonly log: ChangeLog;
    readonly now: () => Date;
    readonly tenantId: string;
    readonly issuer: string;
    readonly directory: Directory;
    readonly authenticate: Authenticate;
    readonly backups: BackupBlobs;
    readonly faults: FaultPlan;
    readonly audit: (event: AuditEvent) => void;
    readonly events: EventGrid;
    readonly closing: AbortSignal;
  },
): Site {
  const open = (settings: VaultSettings) => {
    const vault = settings.name;
    const vaultUrl = vaultUrlOf(vault);
    const resourceId = vaultResourceId(vault);
    const watcher = watcherFor(vault, options.events);
    const store = openSecretStore({
      vault,
      log: options.log,
      now: options.now,
      newVersionId: () => randomUUID().replaceAll('-', ''),
      recoverableDays: options.softDelete.retentionDays,
      delayMs: options.softDelete.delayMs,
      watcher,
    });
    for (const secret of store.current()) watcher.currentIs(secret.name, secret);
    seed(store, settings);
    const plane = createDataPlane({
      ...options,
      vault,
      vaultUrl,
      resourceId,
      store,
      recoverableDays: options.softDelete.retentionDays,
      log: options.audit,
      authorize: createAuthorization({ ...options, vault, resourceId }),
      throttle: options.throttling === 'on' ? createThrottle(options.now) : noThrottle,
    });
    return [vault, plane] as const;
  };

  const planes = new Map(options.vaults.map(open));
  const [first] = planes.values();
  return {
    serves: (host) => vaultHost.test(host),
    fetch(request, env, host) {
      const name = vaultHost.exec(host)?.groups?.['name'];
      const plane = loopback.has(host) ? first : planes.get(name ?? '');
      return plane?.fetch(request, env) ?? answerUnknownVault(host, [...planes.keys()].map(vaultUrlOf));
    },
  };
}

/** Secrets of the configuration that the vault doesn't have. They keep to the limits that a client has to keep to. */
function seed(store: SecretStore, { name: vault, secrets }: VaultSettings): void {
  const wanted = secrets.filter(({ name }) => !store.has(name));
  for (const { name, value, contentType, tags, enabled, notBefore, expires } of wanted) {
    const attributes = { enabled, nbf: epochSeconds(notBefore), exp: epochSeconds(expires) };
    try {
      const body = readSetBody(JSON.stringify({ value, contentType, tags, attributes }));
      store.set(name, body.value, body.properties);
    } catch (cause) {
      if (!(cause instanceof EmulatorError) || cause.refusal === undefined) throw cause;
      const message = `The secret ${name} of the vault ${vault} can't be set: ${cause.message}`;
      throw new EmulatorError('REQUEST_REFUSED', message, { cause, refusal: cause.refusal });
    }
  }
}

const epochSeconds = (time: string | Date | undefined): number | undefined =>
  time === undefined ? undefined : Math.floor(new Date(time).getTime() / 1000);

function watcherFor(vault: string, events: EventGrid): SecretWatcher {
  const described = ({ name, version }: NamedVersion) => ({
    version: version.id,
    id: `${vaultUrlOf(vault)}/secrets/${name}/${version.id}`,
    ...(version.notBefore === undefined ? {} : { notBefore: version.notBefore }),
    ...(version.expires === undefined ? {} : { expires: version.expires }),
  });
  return {
    versionSet: (secret) =>
      void events.publish({
        type: 'SecretNewVersionCreated',
        vault,
        name: secret.name,
        ...described(secret),
      }),
    currentIs: (name, current) =>
      events.currentIs({ vault, name }, current === undefined ? undefined : described(current)),
  };
}
