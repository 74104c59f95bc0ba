/** One frame of a `text/event-stream`. */
export interface ServerSentEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Of a frame, in characters; the names of a thousand secrets fit in. */
const longestFrame = 262_144;

/** Splits a `text/event-stream` into its frames; comments are skipped. Give it decoded text. */
export async function* serverSentEvents(chunks: AsyncIterable<string>): AsyncGenerator<ServerSentEvent> {
  let rest = '';
  let lines: string[] = [];
  let length = 0; // of the lines
  for await (const chunk of chunks) {
    rest += chunk;
    // A trailing \r may be half of a \r\n: it waits for the next chunk.
    const complete = rest.split(/\r\n|\n|\r(?!$)/);
    rest = complete.pop() ?? '';
    for (const line of complete) {
      if (line !== '') {
        lines.push(line);
        length += line.length;
        continue;
      }
      const event = toEvent(lines);
      lines = [];
      length = 0;
      if (event) yield event;
    }
    if (rest.length + length > longestFrame) throw new Error(`A frame of over ${longestFrame} characters.`);
  }
}

function toEvent(lines: readonly string[]): ServerSentEvent | undefined {
  const fields = lines.filter((line) => !line.startsWith(':')).map(toField);
  const last = (name: string) => fields.findLast((field) => field.name === name)?.value;
  const data = fields.filter((field) => field.name === 'data').map((field) => field.value);
  if (data.length === 0) return undefined;
  return { id: last('id'), event: last('event') ?? 'message', data: data.join('\n') };
}

function toField(line: string): { readonly name: string; readonly value: string } {
  const colon = line.indexOf(':');
  if (colon === -1) return { name: line, value: '' };
  return { name: line.slice(0, colon), value: line.slice(colon + 1).replace(/^ /, '') };
}
