import { badParameter } from './refusals.ts';
import type { PageRequest } from './secret.ts';

const maxPageSize = 25;

/** Reads `maxresults` and `$skiptoken` of a list request. */
export function readPageRequest(query: URLSearchParams): PageRequest {
  const token = query.get('$skiptoken');
  return { count: readCount(query.get('maxresults')), ...(token === null ? {} : { after: decode(token) }) };
}

/** The absolute address of the next page, with its port, as the service writes it. */
export function nextLink(
  page: { readonly url: URL; readonly origin: string },
  next: string | undefined,
): string | null {
  if (next === undefined) return null;
  const query = new URLSearchParams(page.url.search);
  query.delete('$skiptoken');
  const token = Buffer.from(next).toString('base64url');
  return `${page.origin}${page.url.pathname}?${query.toString()}&$skiptoken=${token}`;
}

function readCount(text: string | null): number {
  if (text === null) return maxPageSize;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= maxPageSize) return count;
  throw badParameter(`The parameter 'maxresults' is invalid. It is a number from 1 to ${maxPageSize}.`);
}

function decode(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (/^[0-9a-z-]{1,127}$/.test(key)) return key;
  throw badParameter("The parameter '$skiptoken' is invalid. It comes from the nextLink of the page before.");
}
