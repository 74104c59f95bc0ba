import { badParameter } from './refusals.ts';
import type { Page, PageRequest } from './secret.ts';

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
  const token = Buffer.from(`after ${next}`).toString('base64url');
  return `${page.origin}${page.url.pathname}?${query.toString()}&$skiptoken=${token}`;
}

/** Puts an empty page before the first one of a list: the service was seen to do so. */
export const withEmptyPage =
  <T>(read: (page: PageRequest) => Page<T>) =>
  (page: PageRequest): Page<T> =>
    page.after === undefined ? { items: [], next: '' } : read(page);

function readCount(text: string | null): number {
  if (text === null) return maxPageSize;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= maxPageSize) return count;
  throw badParameter(`The parameter 'maxresults' is invalid. It is a number from 1 to ${maxPageSize}.`);
}

function decode(token: string): string {
  const key = /^after (?<key>[0-9a-z-]{0,127})$/.exec(Buffer.from(token, 'base64url').toString());
  if (key?.groups?.['key'] !== undefined) return key.groups['key'];
  throw badParameter("The parameter '$skiptoken' is invalid. It comes from the nextLink of the page before.");
}
