import { randomUUID } from 'node:crypto';
import type { Endpoints } from './endpoint.ts';
import { bodyIn, systemEventIn } from './event-schemas.ts';
import type { Subscription } from './subscriptions.ts';

/** Tells an endpoint, once, that its subscription is gone. Whether it hears that makes no difference. */
export async function sendDeletionNotice(
  endpoints: Endpoints,
  { settings }: Subscription,
  { topic, time }: { readonly topic: string; readonly time: string },
): Promise<void> {
  const { body, contentType } = bodyIn(
    settings.schema,
    systemEventIn(settings.schema, {
      id: randomUUID(),
      topic,
      time,
      type: 'Microsoft.EventGrid.SubscriptionDeletedEvent',
      data: {
        eventSubscriptionId: `${topic}/providers/Microsoft.EventGrid/eventSubscriptions/${settings.name}`,
      },
    }),
  );
  await endpoints.send(settings, {
    method: 'POST',
    headers: { 'aeg-event-type': 'SubscriptionDeletion', 'Content-Type': contentType },
    body,
  });
}
