import { z } from 'zod';
import type { AuditEntry } from './audit.ts';
import { EmulatorError } from './emulator-error.ts';

export interface EmulatorOptions {
  /** The vault's name, 3 to 24 letters, digits and hyphens; `local` unless told. Its URL is `https://NAME.vault.azure.net`. */
  readonly vault?: string;
  /** TLS port of the vault on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number;
  /**
   * Where the CA and the token signing key live, so that a restart doesn't cut off running clients. It is made
   * when missing; its files are for the owner only. Without it they live in a temporary folder until `close`.
   * Secrets are kept in memory only.
   */
  readonly dataFolder?: string;
  /** Secrets that are there from the start, set in this order. */
  readonly secrets?: readonly InitialSecret[];
  /** The vault's clock: created, updated, deletion. Tokens and certificates live in real time, as the clients do. */
  readonly now?: () => Date;
  /** Called once for every call of the vault. */
  readonly log?: (entry: AuditEntry) => void;
  /** Called with a line for people when a client seems not to trust the CA; at most once a minute. */
  readonly onHint?: (line: string) => void;
}

export interface InitialSecret {
  readonly name: string;
  readonly value: string;
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

const aFunction = <T>() => z.custom<T>((value) => typeof value === 'function', 'Expected a function');

const schema = z.strictObject({
  vault: z
    .string()
    .regex(
      /^[a-zA-Z](?:[a-zA-Z0-9]|-(?!-)){1,22}[a-zA-Z0-9]$/,
      'A vault name has 3 to 24 letters, digits and single hyphens',
    )
    .toLowerCase()
    .default('local'),
  port: z.int().min(0).max(65_535).default(0),
  dataFolder: z.string().min(1).exactOptional(),
  secrets: z
    .array(
      z.strictObject({
        name: z.string(),
        value: z.string(),
        contentType: z.string().exactOptional(),
        tags: z.record(z.string(), z.string()).exactOptional(),
      }),
    )
    .default([]),
  now: aFunction<() => Date>().default(() => () => new Date()),
  log: aFunction<(entry: AuditEntry) => void>().default(() => () => {}),
  onHint: aFunction<(line: string) => void>().default(() => () => {}),
});

/** The options with every default filled in. */
export type CheckedOptions = z.output<typeof schema>;

export function readOptions(options: EmulatorOptions): CheckedOptions {
  const checked = schema.safeParse(options);
  if (checked.success) return checked.data;
  // Only the shape is described, so an initial secret's value is not in the message.
  throw new EmulatorError(
    'OPTIONS_INVALID',
    `The emulator's options are not valid:\n${z.prettifyError(checked.error)}`,
  );
}
