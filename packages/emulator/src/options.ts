import { resolve } from 'node:path';
import { z } from 'zod';
import type { AuditEvent } from './vault/audit.ts';
import { EmulatorError } from './emulator-error.ts';
import { eventTypes } from './events/vault-event.ts';
import { roleNames } from './identity/roles.ts';

// What an emulator can be told at its start. The configuration file of `keyturn emulator` has the same keys,
// but for the hooks.

const text = (maximum: number) => z.string().min(1).max(maximum);
const uuid = z.guid('must be a UUID');

const moment = z.union(
  [z.date(), z.iso.date(), z.iso.datetime({ offset: true })],
  'must be a date: 2027-01-31 or 2027-01-31T12:00:00Z',
);

const vaultName = z
  .string()
  .regex(
    /^[a-zA-Z](?:[a-zA-Z0-9]|-(?!-)){1,22}[a-zA-Z0-9]$/,
    'A vault name has 3 to 24 letters, digits and single hyphens',
  )
  .toLowerCase();

const secret = z
  .strictObject({
    name: z.string(),
    value: z.string(),
    contentType: z.string().exactOptional(),
    tags: z.record(z.string(), z.string()).exactOptional(),
    enabled: z.boolean().exactOptional(),
    notBefore: moment.exactOptional(),
    expires: moment.exactOptional(),
  })
  .describe(
    'A secret that is there from the start; set unless a former start left one of that name in the data folder.',
  );

const vault = z.strictObject({
  name: vaultName.describe('Its URL is https://NAME.vault.azure.net.'),
  secrets: z.array(secret).default([]).describe('Set in this order.'),
});

const roleAssignment = z.strictObject({
  role: z.enum(roleNames).describe('A built-in role of Azure, or a permission of Microsoft Graph.'),
  scope: z
    .string()
    .regex(
      /^[0-9a-zA-Z-]+(\/[0-9a-zA-Z-]{1,127})?$/,
      'must be a vault (orders) or a secret of it (orders/stripe-key)',
    )
    .toLowerCase()
    .exactOptional()
    .describe(
      'A vault, one secret of it as VAULT/SECRET, a storage account or an application; everything if absent.',
    ),
});

const identity = z.strictObject({
  name: text(128),
  systemAssigned: z
    .boolean()
    .default(false)
    .describe('Assigned by the system: given to a caller who asks for no other one.'),
  clientId: uuid.exactOptional().describe('Derived from the name if absent, and so is the object id.'),
  objectId: uuid.exactOptional(),
  resourceId: z.string().startsWith('/').exactOptional().describe('What callers select it by as mi_res_id.'),
  federatedSubject: z
    .string()
    .exactOptional()
    .describe(
      'The subject of the service account tokens that may be exchanged for its tokens (workload identity).',
    ),
  roles: z.array(roleAssignment).default([]),
});

const subscription = z.strictObject({
  name: text(64).exactOptional().describe('Sent along as aeg-subscription-name; numbered if absent.'),
  endpoint: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }),
  schema: z.enum(['eventGrid', 'cloudEvents']).default('eventGrid'),
  events: z
    .array(z.enum(eventTypes))
    .min(1)
    .default([...eventTypes]),
  vault: vaultName.exactOptional().describe('Events of this vault only; of every vault if absent.'),
  maxDeliveryAttempts: z.int().min(1).max(30).default(30),
  eventTimeToLiveMinutes: z.int().min(1).max(1440).default(1440),
  audience: z
    .string()
    .exactOptional()
    .describe('Sends a bearer token of Event Grid made out to this audience with every request.'),
  duplicates: z.boolean().default(false).describe('Delivers every event twice.'),
  shuffle: z
    .boolean()
    .default(false)
    .describe('Delivers events that wait at the same moment in the reverse order.'),
});

const storageAccount = z.strictObject({
  name: z.string().regex(/^[a-z0-9]{3,24}$/, 'A storage account has 3 to 24 small letters and digits'),
});

const application = z.strictObject({
  name: text(120).describe('Its display name.'),
  clientId: uuid.exactOptional().describe('Derived from the name if absent, and so is the object id.'),
  objectId: uuid.exactOptional(),
});

const settingsShape = z.strictObject({
  vaults: z
    .array(vault)
    .min(1)
    .default([{ name: 'local', secrets: [] }]),
  identities: z
    .array(identity)
    .min(1)
    .default([
      {
        name: 'default',
        systemAssigned: true,
        roles: [
          { role: 'Key Vault Administrator' },
          { role: 'Storage Account Key Operator Service Role' },
          { role: 'Application.ReadWrite.All' },
        ],
      },
    ])
    .describe('One that is assigned by the system and may do everything if absent.'),
  subscriptions: z.array(subscription).default([]),
  storageAccounts: z
    .array(storageAccount)
    .default([])
    .describe('Backed by Azurite, which must be installed.'),
  applications: z
    .array(application)
    .default([])
    .describe('App registrations whose passwords Microsoft Graph manages.'),
  throttling: z
    .enum(['on', 'off'])
    .default('off')
    .describe('on: 300 new versions and 4000 other calls a vault in 10 s, as on Azure.'),
  softDelete: z
    .strictObject({
      retentionDays: z.int().min(7).max(90).default(90),
      delayMs: z
        .int()
        .nonnegative()
        .default(0)
        .describe('How long a deletion and a recovery take to get through.'),
    })
    .prefault({}),
  emptyPages: z
    .boolean()
    .default(false)
    .describe('Every list begins with an empty page that has a nextLink, as was seen on Azure.'),
  nearExpiryDelayMs: z
    .int()
    .nonnegative()
    .default(0)
    .describe('How long after a set the check for a near expiry comes; up to 15 minutes on Azure.'),
});

/** The keys that the library and the configuration file share. */
export const settingsSchema = settingsShape.superRefine((settings, context) => {
  const refuse = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  for (const part of ['vaults', 'identities', 'storageAccounts', 'applications'] as const) {
    const names = settings[part].map(({ name }) => name);
    names.forEach((name, index) => {
      if (names.indexOf(name) < index) refuse([part, index, 'name'], `There is another ${name}`);
    });
  }
  const vaultNames = settings.vaults.map(({ name }) => name);
  settings.subscriptions.forEach(({ vault: of }, index) => {
    if (of !== undefined && !vaultNames.includes(of))
      refuse(['subscriptions', index, 'vault'], `There is no vault ${of}, but ${vaultNames.join(', ')}`);
  });
  const resources = [settings.vaults, settings.storageAccounts, settings.applications].flatMap((part) =>
    part.map(({ name }) => name.toLowerCase()),
  );
  settings.identities.forEach(({ roles }, index) =>
    roles.forEach(({ scope }, at) => {
      const [resource = ''] = scope?.split('/') ?? [];
      if (scope !== undefined && !resources.includes(resource))
        refuse(
          ['identities', index, 'roles', at, 'scope'],
          `There is no ${resource}, but ${resources.join(', ')}`,
        );
    }),
  );
});

// It is the first of four.
const highestPort = 65_532;

const aFunction = <T>() => z.custom<T>((value) => typeof value === 'function', 'Expected a function');

const optionsSchema = settingsSchema.safeExtend({
  port: z.int().min(0).max(highestPort).default(0),
  // Children that work in another folder are told of files in it.
  dataFolder: z
    .string()
    .min(1)
    .transform((folder) => resolve(folder))
    .exactOptional(),
  startAt: z.date().exactOptional(),
  log: aFunction<(event: AuditEvent) => void>().default(() => () => {}),
  onHint: aFunction<(line: string) => void>().default(() => () => {}),
});

export type CheckedSettings = z.output<typeof settingsSchema>;

/** What the configuration file may say; every part is optional. */
export type EmulatorSettings = z.input<typeof settingsSchema>;

export interface EmulatorOptions extends EmulatorSettings {
  /** TLS port on 127.0.0.1, up to 65532 as the next three are taken, too; 0, the default, takes free ones. */
  readonly port?: number;
  /**
   * Keeps everything there across restarts and crashes: secrets with their values, keys, identities,
   * subscriptions, undelivered events, the clock. Made when missing, for the owner only. Without it everything
   * lives in memory, and the CA's certificate in a temporary folder until `close`.
   */
  readonly dataFolder?: string;
  /** Where the clock stands at the start; real time if absent. Tokens and certificates live in real time, as the clients do. */
  readonly startAt?: Date;
  /** Called once for every call of a vault. */
  readonly log?: (event: AuditEvent) => void;
  /** Called with a line for people: a client that seems not to trust the CA, an endpoint that refuses events. */
  readonly onHint?: (line: string) => void;
}

/** The options with every default filled in. */
export type CheckedOptions = z.output<typeof optionsSchema>;
export type VaultSettings = CheckedOptions['vaults'][number];
export type IdentitySettings = CheckedOptions['identities'][number];
export type RoleAssignment = IdentitySettings['roles'][number];
export type SubscriptionSettings = CheckedOptions['subscriptions'][number];
export type StorageAccountSettings = CheckedOptions['storageAccounts'][number];
export type ApplicationSettings = CheckedOptions['applications'][number];

export function readOptions(options: EmulatorOptions): CheckedOptions {
  return check(optionsSchema, options, "The emulator's options are");
}

/** Checks what a caller of `add` functions passes in. */
export const readIdentity = (settings: z.input<typeof identity>): IdentitySettings =>
  check(identity, settings, 'The identity is');
export const readRoleAssignment = (settings: z.input<typeof roleAssignment>): RoleAssignment =>
  check(roleAssignment, settings, 'The role assignment is');
export const readSubscription = (settings: z.input<typeof subscription>): SubscriptionSettings =>
  check(subscription, settings, 'The subscription is');

export type NewIdentity = z.input<typeof identity>;
export type NewRoleAssignment = z.input<typeof roleAssignment>;
export type NewSubscription = z.input<typeof subscription>;

function check<T>(schema: z.ZodType<T>, given: unknown, what: string): T {
  const checked = schema.safeParse(given);
  if (checked.success) return checked.data;
  // Only the shape is described, so the value of a secret is not in the message.
  throw new EmulatorError('OPTIONS_INVALID', `${what} not valid:\n${z.prettifyError(checked.error)}`);
}
