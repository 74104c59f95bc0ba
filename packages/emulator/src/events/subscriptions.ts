import type { ChangeLog } from '../change-log.ts';
import type { SubscriptionSettings } from '../options.ts';

/** Whether an endpoint has agreed to be sent events. */
export type ProvisioningState = 'Succeeded' | 'AwaitingManualAction' | 'Failed';

export interface Subscription {
  readonly settings: SubscriptionSettings & { readonly name: string };
  readonly state: ProvisioningState;
  /** What an endpoint has to send back; known to it alone. */
  readonly validationCode: string;
}

/** Only one that agreed is sent anything. */
export const hasAgreed = ({ state }: Subscription): boolean => state === 'Succeeded';

export interface SubscriptionRegistry {
  put(subscription: Subscription): void;
  remove(name: string): void;
  get(name: string): Subscription | undefined;
  all(): readonly Subscription[];
}

type Change =
  | { readonly kind: 'put'; readonly subscription: Subscription }
  | { readonly kind: 'removed'; readonly name: string };

export function openSubscriptionRegistry(log: ChangeLog): SubscriptionRegistry {
  const subscriptions = new Map<string, Subscription>();
  const changes = log.open<Change>('subscriptions', {
    apply(change) {
      if (change.kind === 'put') subscriptions.set(change.subscription.settings.name, change.subscription);
      else subscriptions.delete(change.name);
    },
    *snapshot() {
      for (const subscription of subscriptions.values()) yield { kind: 'put', subscription };
    },
  });
  return {
    put: (subscription) => changes.append({ kind: 'put', subscription }),
    remove: (name) => changes.append({ kind: 'removed', name }),
    get: (name) => subscriptions.get(name),
    all: () => [...subscriptions.values()],
  };
}
