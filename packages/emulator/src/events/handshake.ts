import type { SubscriptionSettings } from '../options.ts';
import type { Answer, Endpoints } from './endpoint.ts';
import { bodyIn, systemEventIn } from './event-schemas.ts';

// An endpoint has to agree before anything is delivered to it,
// https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema and
// https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema

/** What an endpoint made of the question whether it wants events. */
export type Consent =
  | 'given'
  /** It took note, and may say yes later through the validation URL. */
  | 'pending'
  | { readonly refused: string; readonly unreachable?: true };

const origin = 'eventgrid.azure.net';

export interface Question {
  readonly subscription: SubscriptionSettings & { readonly name: string };
  readonly topic: string;
  readonly id: string;
  readonly time: string;
  readonly validationCode: string;
  readonly validationUrl: string;
}

export async function askForConsent(endpoints: Endpoints, question: Question): Promise<Consent> {
  return question.subscription.schema === 'cloudEvents'
    ? readCloudEvents(await askWithOptions(endpoints, question))
    : readEventGrid(await askWithEvent(endpoints, question), question.validationCode);
}

function askWithEvent(endpoints: Endpoints, question: Question): Promise<Answer> {
  const { id, topic, time, validationCode, validationUrl } = question;
  const type = 'Microsoft.EventGrid.SubscriptionValidationEvent';
  const data = { validationCode, validationUrl };
  const { body, contentType } = bodyIn(
    'eventGrid',
    systemEventIn('eventGrid', { id, topic, time, type, data }),
  );
  return endpoints.send(question.subscription, {
    method: 'POST',
    headers: { 'aeg-event-type': 'SubscriptionValidation', 'Content-Type': contentType },
    body,
  });
}

function readEventGrid(answer: Answer, validationCode: string): Consent {
  if (answer.status === undefined)
    return { refused: `it can't be reached (${answer.problem})`, unreachable: true };
  // 202 is an answer of success, and not the one that counts here.
  if (answer.status !== 200) return { refused: `it answered the validation with ${answer.status}` };
  const given = validationResponseIn(answer.body);
  if (given === undefined) return 'pending';
  return given === validationCode ? 'given' : { refused: 'it answered with another validation code' };
}

function validationResponseIn(body: string): unknown {
  try {
    return (JSON.parse(body) as { validationResponse?: unknown } | null)?.validationResponse;
  } catch {
    return undefined;
  }
}

const askWithOptions = (endpoints: Endpoints, { subscription, validationUrl }: Question): Promise<Answer> =>
  endpoints.send(subscription, {
    method: 'OPTIONS',
    headers: {
      'WebHook-Request-Origin': origin,
      'WebHook-Request-Callback': validationUrl,
      'WebHook-Request-Rate': '120',
    },
  });

function readCloudEvents(answer: Answer): Consent {
  if (answer.status === undefined)
    return { refused: `it can't be reached (${answer.problem})`, unreachable: true };
  if (answer.status < 200 || answer.status > 299)
    return { refused: `it answered the validation with ${answer.status}` };
  const allowed = answer.headers.get('WebHook-Allowed-Origin');
  if (allowed === origin || allowed === '*') return 'given';
  return allowed === null ? 'pending' : { refused: `it allows ${allowed} only` };
}
