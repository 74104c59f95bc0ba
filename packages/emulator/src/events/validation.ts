import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Timetable } from '../clock.ts';
import type { Endpoints } from './endpoint.ts';
import { askForConsent, type Consent } from './handshake.ts';
import { hasAgreed, type Subscription, type SubscriptionRegistry } from './subscriptions.ts';

/** Gets the consent of endpoints, and keeps the state of their subscriptions. */
export interface Validation {
  /** Asks once, and goes on asking in the background while nobody is there. */
  ask(subscription: Subscription): Promise<void>;
  /** The same in a moment, unless the subscription was replaced until then. */
  askSoon(subscription: Subscription): void;
  /** Answers whoever opens a validation URL. */
  confirm(request: Request): Response;
}

const askAgainSeconds = 2;
// https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
const confirmableMs = 10 * 60_000;

export function createValidation(ports: {
  readonly clock: Timetable;
  readonly registry: SubscriptionRegistry;
  readonly endpoints: Endpoints;
  readonly topicOf: (subscription: Subscription) => string;
  /** Where `confirm` is served. */
  readonly callbackUrl: string;
  readonly onHint: (line: string) => void;
  /** An answer could not be remembered. */
  readonly onFailure: (error: unknown) => void;
  /** The endpoint of this subscription agreed. */
  readonly onAgreed: (name: string) => void;
  readonly closing: AbortSignal;
}): Validation {
  const { clock, registry, endpoints, closing } = ports;

  /** What it has become, unless it was replaced or removed, or has agreed. */
  const undecided = ({ settings: { name }, validationCode }: Subscription): Subscription | undefined => {
    const now = registry.get(name);
    const same = now?.validationCode === validationCode && !hasAgreed(now) && !closing.aborted;
    return same ? now : undefined;
  };

  const agree = (subscription: Subscription): void => {
    registry.put({ ...subscription, state: 'Succeeded' });
    ports.onAgreed(subscription.settings.name);
  };

  const waitForConfirmation = (subscription: Subscription): void => {
    registry.put({ ...subscription, state: 'AwaitingManualAction' });
    clock.at(clock.now().getTime() + confirmableMs, () => {
      const late = undecided(subscription);
      if (late?.state !== 'AwaitingManualAction') return;
      try {
        registry.put({ ...late, state: 'Failed' });
      } catch (error) {
        ports.onFailure(error);
      }
    });
  };

  const question = (subscription: Subscription): Promise<Consent> => {
    const { settings, validationCode } = subscription;
    return askForConsent(endpoints, {
      subscription: settings,
      topic: ports.topicOf(subscription),
      id: randomUUID(),
      time: clock.now().toISOString(),
      validationCode,
      validationUrl: `${ports.callbackUrl}/validate?name=${encodeURIComponent(settings.name)}&code=${validationCode}`,
    });
  };

  const askOnce = async (asked: Subscription, isFirst: boolean): Promise<void> => {
    if (undecided(asked) === undefined) return;
    const consent = await question(asked);
    // It may have been replaced, removed or confirmed by hand meanwhile.
    const subscription = undecided(asked);
    if (subscription === undefined) return;
    if (consent === 'given') return agree(subscription);
    if (consent === 'pending') return waitForConfirmation(subscription);
    if (subscription.state !== 'Failed') registry.put({ ...subscription, state: 'Failed' });
    if (isFirst) ports.onHint(hintOf(subscription, consent));
    if (consent.unreachable) askLater(asked, false);
  };

  const askLater = (subscription: Subscription, isFirst: boolean): void => {
    wait(askAgainSeconds * 1_000, undefined, { signal: closing, ref: false })
      .then(
        () => askOnce(subscription, isFirst),
        () => {}, // closed
      )
      .catch(ports.onFailure);
  };

  return {
    ask: (subscription) => askOnce(subscription, true),
    askSoon: (subscription) => askLater(subscription, true),
    confirm(request) {
      const query = new URL(request.url).searchParams;
      const subscription = registry.get(query.get('name') ?? '');
      const isOurs = subscription !== undefined && subscription.validationCode === query.get('code');
      if (!isOurs || subscription.state === 'Failed')
        return new Response('No subscription waits for this.\n', { status: 404 });
      if (!hasAgreed(subscription)) agree(subscription);
      return new Response('Webhook successfully validated as a subscription endpoint.\n');
    },
  };
}

function hintOf({ settings }: Subscription, consent: { refused: string; unreachable?: true }): string {
  const hint = `${settings.endpoint} is sent no events: ${consent.refused}.`;
  return consent.unreachable
    ? `${hint} It is asked again every ${askAgainSeconds} s until it answers.`
    : hint;
}
