import { randomUUID } from 'node:crypto';
import type { ChangeLog } from '../change-log.ts';
import type { Timetable } from '../clock.ts';
import { EmulatorError } from '../emulator-error.ts';
import { readSubscription, type NewSubscription, type SubscriptionSettings } from '../options.ts';
import { openDeliveryQueue, type DeadLetter } from './delivery-queue.ts';
import { createDeliverer } from './delivery.ts';
import { sendDeletionNotice } from './deletion-notice.ts';
import { createEndpoints } from './endpoint.ts';
import type { GridEvent } from './event-schemas.ts';
import { openExpiryWatch, type ExpiryWatch } from './expiry-watch.ts';
import {
  hasAgreed,
  openSubscriptionRegistry,
  type ProvisioningState,
  type Subscription,
} from './subscriptions.ts';
import { createValidation } from './validation.ts';
import type { VaultEvent } from './vault-event.ts';

/** Who is sent events: `vault.subscriptions`. */
export interface Subscriptions {
  /**
   * Adds a subscription, or replaces the one of that name, and asks its endpoint for consent. Resolves with the
   * state after the first attempt; an endpoint that can't be reached is asked again every two seconds. Throws
   * `OPTIONS_INVALID`.
   */
  add(subscription: NewSubscription): Promise<SubscriptionState>;
  /** Nothing more is sent there. Throws `OPTIONS_INVALID` when there is none of that name. */
  remove(name: string): void;
  list(): readonly SubscriptionState[];
  /** Events that were given up, the latest 1,000; of one subscription if named. */
  deadLetters(name?: string): readonly DeadLetter[];
  /** Resolves when nothing is being delivered. What waits for its next attempt doesn't count: advance the clock. */
  settled(): Promise<void>;
}

export interface SubscriptionState extends SubscriptionSettings {
  readonly name: string;
  /** Only `Succeeded` is sent events. */
  readonly provisioningState: ProvisioningState;
}

export interface EventGrid extends ExpiryWatch {
  readonly subscriptions: Subscriptions;
  /** Remembers the event for everyone who subscribed to it before it returns; resolves when it was sent off. */
  publish(event: VaultEvent): Promise<void>;
  /** Where an endpoint that took its time confirms by hand. */
  readonly fetch: (request: Request) => Response;
  /** Cuts off what is under way and sends nothing more. */
  close(): Promise<void>;
}

const swappedByMs = 1_000;

export function openEventGrid(ports: {
  readonly clock: Timetable;
  readonly log: ChangeLog;
  /** The resource id of a vault. */
  readonly topicOf: (vault: string) => string;
  readonly tokenFor: (audience: string) => Promise<string>;
  /** Where `fetch` is served. */
  readonly callbackUrl: string;
  readonly nearExpiryDelayMs: number;
  readonly onHint: (line: string) => void;
}): EventGrid {
  const { clock, log } = ports;
  const closing = new AbortController();
  const registry = openSubscriptionRegistry(log);
  const queue = openDeliveryQueue(log);
  // On a full disk, for one. Nobody waits for it, and the process isn't ours to end.
  const onFailure = (error: unknown): void =>
    ports.onHint(`An event may be lost or come again: ${(error as Error).message}`);
  const endpoints = createEndpoints({ tokenFor: ports.tokenFor, closing: closing.signal });
  const deliverer = createDeliverer({
    clock,
    queue,
    endpoints,
    subscriptionOf: registry.get,
    onFailure,
    closing: closing.signal,
  });
  const topicOf = ({ settings }: Subscription): string => ports.topicOf(settings.vault ?? 'all');
  const validation = createValidation({
    clock,
    registry,
    endpoints,
    topicOf,
    callbackUrl: ports.callbackUrl,
    onHint: ports.onHint,
    onFailure,
    onAgreed: (name) => void deliverer.resume(name),
    closing: closing.signal,
  });

  const publish = async (event: VaultEvent): Promise<void> => {
    const now = clock.now();
    const grid = { id: randomUUID(), topic: ports.topicOf(event.vault), time: now.toISOString(), event };
    const subscribers = registry.all().filter((subscription) => wants(subscription, event));
    await Promise.all(subscribers.flatMap((subscription) => send(subscription, grid, now.getTime())));
  };

  /** How many events each subscription was sent. */
  const sent = new Map<string, number>();
  const send = ({ settings }: Subscription, event: GridEvent, publishedAt: number): Promise<void>[] => {
    const number = sent.get(settings.name) ?? 0;
    sent.set(settings.name, number + 1);
    // Of every two, the first one comes later.
    const dueAt = settings.shuffle && number % 2 === 0 ? publishedAt + swappedByMs : publishedAt;
    const copies = settings.duplicates ? 2 : 1;
    return Array.from({ length: copies }, () => {
      const common = { subscription: settings.name, event, attempts: 0, publishedAt, dueAt };
      const delivery = { key: randomUUID(), ...common };
      queue.add(delivery);
      return deliverer.deliver(delivery);
    });
  };

  const watch = openExpiryWatch({
    clock,
    log,
    delayMs: ports.nearExpiryDelayMs,
    tell: (type, secret, current) => publish({ type, ...secret, ...current }),
    onFailure,
  });

  let notices: Promise<unknown> = Promise.resolve();
  const notifyOfDeletion = (subscription: Subscription): void => {
    const at = { topic: topicOf(subscription), time: clock.now().toISOString() };
    notices = Promise.all([notices, sendDeletionNotice(endpoints, subscription, at)]);
  };

  const settled = async (): Promise<void> => {
    await Promise.all([deliverer.settled(), notices]);
  };

  const stateOf = ({ settings, state }: Subscription): SubscriptionState => ({
    ...settings,
    provisioningState: state,
  });

  const known = (name: string): Subscription => {
    const subscription = registry.get(name);
    if (subscription !== undefined) return subscription;
    const names = registry.all().map(({ settings }) => settings.name);
    throw new EmulatorError(
      'OPTIONS_INVALID',
      `There is no subscription ${name}. Known: ${names.join(', ')}.`,
    );
  };

  const subscriptions: Subscriptions = {
    async add(given) {
      const settings = { name: firstFreeName(registry.all()), ...readSubscription(given) };
      const before = registry.get(settings.name);
      const agreed = before !== undefined && hasAgreed(before) && goesToTheSame(before.settings, settings);
      const subscription = {
        settings,
        state: agreed ? 'Succeeded' : 'Failed',
        validationCode: randomUUID(),
      } as const;
      registry.put(subscription);
      await validation.ask(subscription);
      return stateOf(known(settings.name));
    },
    remove(name) {
      const subscription = known(name);
      registry.remove(name);
      queue.drop(name);
      if (hasAgreed(subscription)) notifyOfDeletion(subscription);
    },
    list: () => registry.all().map(stateOf),
    deadLetters: (name) =>
      queue.deadLetters().filter(({ subscription }) => name === undefined || subscription === name),
    settled,
  };

  // What a former process left, and endpoints that it did not reach.
  for (const delivery of queue.pending()) void deliverer.deliver(delivery);
  for (const subscription of registry.all()) if (!hasAgreed(subscription)) validation.askSoon(subscription);

  return {
    subscriptions,
    publish: (event) => publish(event).catch(onFailure),
    currentIs: watch.currentIs,
    fetch: validation.confirm,
    async close() {
      closing.abort();
      await settled();
    },
  };
}

const wants = (subscription: Subscription, { type, vault }: VaultEvent): boolean => {
  const { settings } = subscription;
  const isOfThisVault = settings.vault === undefined || settings.vault === vault;
  return hasAgreed(subscription) && settings.events.includes(type) && isOfThisVault;
};

const goesToTheSame = (one: SubscriptionSettings, other: SubscriptionSettings): boolean =>
  one.endpoint === other.endpoint && one.schema === other.schema;

function firstFreeName(subscriptions: readonly Subscription[]): string {
  const taken = new Set(subscriptions.map(({ settings }) => settings.name));
  for (let number = 1; ; number += 1)
    if (!taken.has(`subscription-${number}`)) return `subscription-${number}`;
}
