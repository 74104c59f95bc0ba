/** One frame of a `text/event-stream`. */
export interface ServerSentEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

const longestLine = 65_536;

/** Splits a `text/event-stream` into its frames; comments are skipped. Give it decoded text. */
export async function* serverSentEvents(chunks: AsyncIterable<string>): AsyncGenerator<ServerSentEvent> {
  let rest = '';
  let lines: string[] = [];
  for await (const chunk of chunks) {
    rest += chunk;
    // A trailing \r may be half of a \r\n: it waits for the next chunk.
    const complete = rest.split(/\r\n|\n|\r(?!$)/);
    rest = complete.pop() ?? '';
    if (rest.length > longestLine) throw new Error(`A line of over ${longestLine} characters.`);
    for (const line of complete) {
      if (line !== '') {
        lines.push(line);
        continue;
      }
      const event = toEvent(lines);
      lines = [];
      if (event) yield event;
    }
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
