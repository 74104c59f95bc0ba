import type { VaultEvent } from './vault-event.ts';

// How a vault's events look on the way,
// https://learn.microsoft.com/azure/event-grid/event-schema-key-vault

export type EventSchema = 'eventGrid' | 'cloudEvents';

/** An event with what Event Grid itself adds to it. */
export interface GridEvent {
  readonly id: string;
  /** The vault's resource id. */
  readonly topic: string;
  /** ISO 8601, by the emulator's clock. */
  readonly time: string;
  readonly event: VaultEvent;
}

const dataOf = ({ id, vault, name, version, notBefore, expires }: VaultEvent) => ({
  Id: id,
  VaultName: vault,
  ObjectType: 'Secret',
  ObjectName: name,
  Version: version,
  NBF: notBefore ?? null,
  EXP: expires ?? null,
});

const typeOf = ({ type }: VaultEvent): string => `Microsoft.KeyVault.${type}`;

/** One event in the schema that a subscription asks for. */
export function eventIn(schema: EventSchema, { id, topic, time, event }: GridEvent): object {
  if (schema === 'cloudEvents')
    return {
      id,
      source: topic,
      specversion: '1.0',
      type: typeOf(event),
      subject: event.name,
      time,
      data: dataOf(event),
    };
  return {
    id,
    topic,
    subject: event.name,
    eventType: typeOf(event),
    data: dataOf(event),
    dataVersion: '1',
    metadataVersion: '1',
    eventTime: time,
  };
}

/** What Event Grid says of a subscription itself. */
export function systemEventIn(
  schema: EventSchema,
  {
    id,
    topic,
    time,
    type,
    data,
  }: {
    readonly id: string;
    readonly topic: string;
    /** ISO 8601. */
    readonly time: string;
    readonly type: string;
    readonly data: object;
  },
): object {
  return schema === 'cloudEvents'
    ? { id, source: topic, specversion: '1.0', type, subject: '', time, data }
    : {
        id,
        topic,
        subject: '',
        data,
        eventType: type,
        eventTime: time,
        metadataVersion: '1',
        dataVersion: '2',
      };
}

/**
 * The versions that the headers tell of. For a CloudEvent that is the specification's, and there is none of the data:
 * https://learn.microsoft.com/azure/event-grid/receive-events#message-headers
 */
export const versionHeaders = (schema: EventSchema): Readonly<Record<string, string>> =>
  schema === 'cloudEvents'
    ? { 'aeg-metadata-version': '1.0' }
    : { 'aeg-data-version': '1', 'aeg-metadata-version': '1' };

/** What is posted: Event Grid's own schema comes in a list, even one event alone. */
export function bodyIn(
  schema: EventSchema,
  event: object,
): { readonly body: string; readonly contentType: string } {
  return schema === 'cloudEvents'
    ? { body: JSON.stringify(event), contentType: 'application/cloudevents+json; charset=utf-8' }
    : { body: JSON.stringify([event]), contentType: 'application/json; charset=utf-8' };
}
