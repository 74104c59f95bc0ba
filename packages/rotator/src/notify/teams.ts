import type { CloudEvent } from './cloud-event.ts';
import { messageOf } from './message.ts';

/** Teams refuses a message above 28 KB; the facts are cut so that a card stays well below. */
const longestFact = 2_000;

/**
 * The payload for the Workflows trigger "When a Teams webhook request is received": an Adaptive Card as an
 * attachment. All text stands in `TextRun`s, which know no markdown (a `TextBlock` and a `FactSet` do), and a card
 * without `msteams.entities` can't mention anybody.
 */
export function teamsMessage(event: CloudEvent) {
  const { tone, title, text, facts } = messageOf(event);
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          msteams: { width: 'Full' },
          body: [
            paragraph([run(title, { size: 'Large', weight: 'Bolder', color: tone })]),
            paragraph([run(text)]),
            ...facts.map(([label, value]) =>
              paragraph([run(`${label}: `, { weight: 'Bolder' }), run(value)]),
            ),
          ],
        },
      },
    ],
  };
}

function paragraph(inlines: readonly object[]) {
  return { type: 'RichTextBlock', inlines };
}

/** `{{DATE(…)}}` is the one thing that is worked out in a run. */
function run(text: string, style: Readonly<Record<string, string>> = {}) {
  const cut = text.length <= longestFact ? text : `${text.slice(0, longestFact - 1).toWellFormed()}…`;
  return { type: 'TextRun', text: cut.replaceAll('{{', '{ {'), ...style };
}
