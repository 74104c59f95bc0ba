import assert from 'node:assert/strict';
import { inspect } from 'node:util';

/** What a call throws; fails if it succeeds. */
export async function thrownBy(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  assert.fail('it succeeded and should have failed');
}

/** Where in an error, its properties or its causes one of the secrets can be read: `message`, `cause.stack`, … */
export function findLeaks(error: unknown, secrets: readonly string[], path = ''): string[] {
  if (!(error instanceof Error)) return holds(inspectWhole(error), secrets) ? [`${path}value`] : [];
  const places = {
    message: error.message,
    stack: error.stack ?? '',
    JSON: JSON.stringify(error),
    // Properties that JSON leaves out, such as the message, are spread here.
    properties: JSON.stringify(Object.getOwnPropertyDescriptors(error)),
    inspection: inspectWhole(error),
  };
  const here = Object.entries(places).flatMap(([place, text]) =>
    holds(text, secrets) ? [path + place] : [],
  );
  const parts = [error.cause, ...(error instanceof AggregateError ? (error.errors as unknown[]) : [])];
  const deeper = parts.filter((part) => part !== undefined);
  return [...here, ...deeper.flatMap((part) => findLeaks(part, secrets, `${path}cause.`))];
}

function inspectWhole(thing: unknown): string {
  return inspect(thing, { depth: Infinity, showHidden: true, maxStringLength: Infinity });
}

/** A value is as good as told if it is merely written in another way. */
function holds(text: string, secrets: readonly string[]): boolean {
  return secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')])
    .some((form) => text.includes(form));
}
