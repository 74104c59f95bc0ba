import type { CloudEvent } from './cloud-event.ts';
import { messageOf } from './message.ts';

/** The longest that Slack takes, in characters. */
const longest = { header: 150, section: 3_000, field: 2_000 };
/** Of the fields in one section. */
const mostFields = 10;

/**
 * The payload of a Slack incoming webhook: blocks, and a text for where blocks aren't shown. Every text of ours or
 * of others is `plain_text`, which knows no mentions and no links, and is escaped on top of that.
 */
export function slackMessage(event: CloudEvent) {
  const { title, text, facts } = messageOf(event);
  const fields = facts.flatMap(([label, value]) => [
    { type: 'mrkdwn', text: `*${label}*` },
    plain(value, longest.field),
  ]);
  return {
    text: escaped(`${title}. ${text}`, longest.section),
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plain(title, longest.header) },
      { type: 'section', text: plain(text, longest.section) },
      ...chunked(fields).map((some) => ({ type: 'section', fields: some })),
    ],
  };
}

function plain(text: string, most: number) {
  return { type: 'plain_text', text: escaped(text, most), emoji: false };
}

/** `<` and `>` enclose Slack's mentions and links, in every kind of text. Cutting must not cut an entity. */
function escaped(text: string, most: number): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
  let out = '';
  for (const character of text) {
    const next = entities[character] ?? character;
    if (out.length + next.length > most - 1) return `${out}…`;
    out += next;
  }
  return out;
}

function chunked<Item>(items: readonly Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / mostFields) }, (_, index) =>
    items.slice(index * mostFields, (index + 1) * mostFields),
  );
}
