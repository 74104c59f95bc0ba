import { z } from 'zod';
import type { VaultEvent } from './vault-event.ts';

// https://learn.microsoft.com/azure/event-grid/event-schema-key-vault

const kinds: Readonly<Record<string, VaultEvent['kind']>> = {
  'Microsoft.KeyVault.SecretNearExpiry': 'near expiry',
  'Microsoft.KeyVault.SecretNewVersionCreated': 'new version',
  'Microsoft.KeyVault.SecretExpired': 'expired',
};

const text = (pattern: RegExp, what: string) => z.string('is missing').trim().regex(pattern, `is no ${what}`);

const vaultData = z.object({
  id: text(/^https:\/\/[0-9a-z.-]{1,253}(:\d{1,5})?\/secrets\//i, 'address of a secret').refine(
    (address) => URL.canParse(address),
    'is no address of a secret',
  ),
  objecttype: text(/^[a-z]{1,32}$/i, 'type of object'),
  objectname: text(/^[0-9a-zA-Z-]{1,127}$/, 'name of a secret'),
  version: text(/^[0-9a-zA-Z]{1,64}$/, 'version'),
});

const eventId = /^[\x20-\x7e]+$/;

/** An event as both schemas have it. */
export interface Envelope {
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly data: unknown;
}

/** A vault's event, `foreign` if it is about something else, or what is wrong with it. */
export function readVaultEvent(envelope: Envelope): VaultEvent | 'foreign' | { readonly problem: string } {
  const kind = Object.hasOwn(kinds, envelope.type) ? kinds[envelope.type] : undefined;
  if (kind === undefined) return 'foreign';
  const fields = plainKeys(envelope.data);
  if (typeof fields['objecttype'] === 'string' && fields['objecttype'].trim().toLowerCase() !== 'secret')
    return 'foreign';
  const data = vaultData.safeParse(fields);
  if (!data.success) return { problem: `data.${firstIssue(data.error)}` };
  const at = Date.parse(envelope.time);
  if (Number.isNaN(at)) return { problem: 'its time is none' };
  if (!eventId.test(envelope.id)) return { problem: 'id has characters that are not printable' };
  const { id, objectname: secret, version } = data.data;
  return { kind, vault: new URL(id).origin, secret, version, at, eventId: envelope.id };
}

/** The documented samples differ in capitals (`ObjectName`, `objectName`) and have a key with a space at its end. */
function plainKeys(data: unknown): Readonly<Record<string, unknown>> {
  if (typeof data !== 'object' || data === null) return {};
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key.trim().toLowerCase(), value]));
}

/** Names the field, never what is in it. */
export function firstIssue({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim();
}
