import { overlapTooShort, windowsTooRare, type Consumer } from '@keyturn/rotator';
import { z } from 'zod';
import { duration } from './duration.ts';
import type { FileKind } from './load.ts';
import { maintenanceWindow } from './window.ts';

const name = z.string().min(1);
const secretName = z
  .string()
  .regex(/^[0-9a-zA-Z-]{1,127}$/, 'must be a Key Vault secret name: letters, digits and dashes');

const consumer = z
  .strictObject({
    ttl: duration.describe(
      'The longest it serves a version from its cache; 24h for an App Service Key Vault reference.',
    ),
    instances: z
      .int()
      .min(0)
      .default(1)
      .describe('How many instances must report before the rotation goes on.'),
    reports: z.boolean().default(true).describe('False for a consumer without the Keyturn client.'),
  })
  .describe('An application that uses the secret.');

const postgresSource = z
  .strictObject({
    kind: z.literal('postgres'),
    host: name,
    port: z.int().min(1).max(65_535).default(5432),
    database: name,
    parameters: z
      .record(z.string(), z.string())
      .default({})
      .describe('Connection parameters: { sslmode: verify-full }.'),
    owner: name.describe('The role that owns the objects; both login roles are members of it.'),
    roles: z
      .tuple([name, name])
      .refine(([one, other]) => one !== other, 'must be two different roles: they take turns')
      .describe('The two login roles that take turns.'),
    admin: z
      .strictObject({ secret: secretName })
      .describe(
        'The secret in this vault that holds the URL with which Keyturn logs in to issue credentials.',
      ),
    format: z.enum(['url', 'json']).default('url').describe('How the value of the secret is written.'),
    probe: z.string().optional().describe('SQL that a new credential must be able to run.'),
  })
  .describe('A PostgreSQL database with two login roles in one owner role.');

const redisSource = z
  .strictObject({
    kind: z.literal('redis'),
    host: name,
    port: z.int().min(1).max(65_535).default(6379),
    tls: z.boolean().default(false).describe('True if the applications connect with TLS.'),
    database: z.int().min(0).optional().describe('The number of the database that the value names.'),
    user: name.describe('The ACL user that the applications log in as; it holds both passwords meanwhile.'),
    admin: z
      .strictObject({ secret: secretName })
      .describe(
        'The secret in this vault that holds the URL with which Keyturn logs in to issue credentials.',
      ),
    format: z
      .enum(['url', 'json', 'password'])
      .default('url')
      .describe('How the value of the secret is written.'),
  })
  .describe('A Redis server with one ACL user that takes two passwords.');

const secret = z
  .strictObject({
    source: z.discriminatedUnion('kind', [postgresSource, redisSource]),
    consumers: z.record(name, consumer).refine((all) => Object.keys(all).length > 0, {
      message: 'must name at least one application that uses the secret',
    }),
    every: duration
      .optional()
      .describe(
        'keyturn serve rotates it after this long; up to a tenth earlier. Otherwise when it nears its expiry.',
      ),
    windows: z
      .array(maintenanceWindow)
      .min(1, 'must hold at least one window; leave the key out to allow any time')
      .optional()
      .describe('When the schedule and events may start a rotation; at any time if absent.'),
    validity: duration.default(90 * 86_400_000).describe('How long a version is meant to live.'),
    overlap: duration
      .optional()
      .describe('At least this long both credentials work; the shortest safe time if absent.'),
    clockSkew: duration
      .default(5_000)
      .describe('How far the clocks of vault, rotator and instances may differ.'),
    deadline: duration
      .default(86_400_000)
      .describe('After this long without convergence the rotation is held.'),
    approval: z
      .boolean()
      .default(false)
      .describe('True: nothing is done before somebody else than who asked for it has agreed.'),
    emergency: duration
      .default(60_000)
      .describe('In an emergency the old credential is ended after this long at the latest.'),
    freshLogin: duration
      .optional()
      .describe('The new version is taken back if nobody logs in with it for this long after convergence.'),
    poll: duration.default(2_000).describe('How often adoption and usage are looked at.'),
    requestTimeout: duration
      .default(10_000)
      .describe('A request to the vault without an answer for this long is given up.'),
    retryFor: duration
      .default(600_000)
      .describe('A phase that fails for a passing reason is tried again for this long.'),
  })
  .superRefine(({ consumers, clockSkew, overlap, validity, every, windows }, context) => {
    const policy = {
      consumers: Object.entries(consumers).map(toConsumer),
      clockSkewMs: clockSkew,
      ...(overlap === undefined ? {} : { overlapMs: overlap }),
      ...(every === undefined ? {} : { everyMs: every }),
      ...(windows === undefined ? {} : { windows }),
      validityMs: validity,
    };
    const tooShort = overlapTooShort(policy);
    if (tooShort) context.addIssue({ code: 'custom', path: ['overlap'], message: tooShort });
    const tooRare = windowsTooRare(policy);
    if (tooRare) context.addIssue({ code: 'custom', path: ['windows'], message: tooRare });
  });

const tenant = z.guid('must be the id of a tenant').describe('The id of the Entra tenant.');

/** Who may ask what of `keyturn serve`. */
const api = z
  .strictObject({
    entra: z
      .strictObject({
        issuer: z.url().describe('Who issues the tokens: https://login.microsoftonline.com/TENANT/v2.0.'),
        audience: name.describe('The application id or its URI that tokens are made out to.'),
        applications: z
          .record(name, z.array(name).min(1))
          .optional()
          .describe('For which consumers an application may report, by its application id; all if absent.'),
      })
      .optional()
      .describe(
        'Tokens with the app roles viewer, operator, approver, application. Without it: this machine only.',
      ),
    instances: z
      .enum(['loopback', 'network'])
      .default('loopback')
      .describe('Without Entra: where instances may report from.'),
  })
  .prefault({});

/** How Event Grid shows that it is the sender. */
const events = z
  .union([
    z.strictObject({
      key: z
        .strictObject({ secret: secretName })
        .describe('The secret in this vault that holds what Event Grid sends as keyturn-webhook-key.'),
    }),
    z.strictObject({
      entra: z.strictObject({
        tenant,
        audience: name.describe('The application id or its URI that tokens are made out to.'),
        role: name.optional().describe('The role of who may deliver; Event Grid itself if absent.'),
      }),
    }),
  ])
  .describe('Event Grid may tell of near expiry and new versions, at /v1/events.');

const fromVault = (what: string) =>
  z.strictObject({ secret: secretName }).describe(`The secret in this vault that holds ${what}.`);

/** Who is told what becomes of rotations. */
const target = z
  .discriminatedUnion('format', [
    z.strictObject({
      format: z.enum(['slack', 'teams']),
      url: fromVault('the URL of the webhook'),
      about: z.enum(['people', 'everything']).optional(),
    }),
    z.strictObject({
      format: z.literal('webhook'),
      url: fromVault('the URL of the webhook'),
      key: fromVault('the key that signs, whsec_…, as Standard Webhooks has it'),
      about: z.enum(['people', 'everything']).optional(),
    }),
  ])
  .describe('See docs/notifications.md.');

/** A password in a file would be there for everybody who reads it, and no token would ever be asked for. */
const passwordlessUrl = z
  .url({ protocol: /^postgres(ql)?$/, error: 'must be a URL: postgres://ROLE@HOST/DATABASE' })
  .refine((url) => !URL.canParse(url) || new URL(url).password === '', 'must hold no password')
  .refine((url) => !URL.canParse(url) || new URL(url).username !== '', 'must name a role: postgres://ROLE@…');

/** `keyturn.yaml`. */
export const configuration = z.strictObject({
  $schema: z.string().optional(),
  vault: z.url({ protocol: /^https$/, error: 'must be the URL of a vault: https://NAME.vault.azure.net' }),
  journal: z
    .union([
      z.strictObject({ data: name.describe('Folder of the embedded database.') }),
      z.strictObject({
        secret: secretName.describe('The secret in this vault that holds the URL of a PostgreSQL database.'),
      }),
      z.strictObject({
        url: passwordlessUrl.describe(
          'A PostgreSQL database, without a password: postgres://ROLE@HOST/DATABASE?sslmode=verify-full.',
        ),
        entra: z
          .literal(true)
          .describe('The login is an Entra token of whoever this process is: its managed identity.'),
      }),
    ])
    .optional()
    .describe('Where rotations are remembered; an embedded database in a folder of the user if absent.'),
  fleet: z
    .strictObject({
      listen: z
        .string()
        .regex(/^.+:\d{1,5}$/, 'must be host:port')
        .refine((address) => Number(address.split(':').at(-1)) <= 65_535, 'must have a port from 0 to 65535')
        .default('127.0.0.1:7420')
        .describe('Where the instances of the applications connect.'),
      lease: duration
        .default(30_000)
        .describe('An instance that is silent for this long no longer counts as live.'),
      heartbeat: duration
        .default(15_000)
        .describe('How often the connection to an instance is shown to live.'),
    })
    .prefault({}),
  api,
  events: events.optional(),
  notify: z.record(name, target).default({}).describe('Who is told, by a name for logs and metrics.'),
  watch: duration.default(60_000).describe('How often keyturn serve looks at each secret in the vault.'),
  drift: z
    .strictObject({
      every: duration
        .default(86_400_000)
        .refine((everyMs) => everyMs >= 3_600_000, 'must be at least 1h')
        .describe('How often keyturn serve looks for what is not as the last rotation left it.'),
    })
    .prefault({}),
  history: z
    .strictObject({
      keep: duration
        .default(400 * 86_400_000)
        .refine((keepMs) => keepMs >= 30 * 86_400_000, 'must be at least 30d')
        .describe('How long keyturn serve remembers a rotation that has ended.'),
    })
    .prefault({}),
  secrets: z.record(secretName, secret),
});

export type Configuration = z.infer<typeof configuration>;
export type SecretConfiguration = Configuration['secrets'][string];

export function toConsumer([consumerName, { ttl, instances, reports }]: [
  string,
  z.infer<typeof consumer>,
]): Consumer {
  return { name: consumerName, ttlMs: ttl, instances, reports };
}

export const configurationFile: FileKind<Configuration> = { schema: configuration, keys: 'keyturn schema' };

/** The JSON Schema of a configuration file, for editors. */
export function jsonSchemaOf({ schema }: FileKind<unknown>): unknown {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}
