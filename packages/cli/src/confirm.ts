import { createInterface } from 'node:readline/promises';

/** Where a person is asked: results go to stdout, so questions don't. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** Is there a person who could answer? */
export function isTerminal({ input, output }: Terminal): boolean {
  return input.isTTY && output.isTTY;
}

/** True after `y` or `yes`; anything else, and an end of the input, is a no. */
export async function confirm(question: string, { input, output }: Terminal): Promise<boolean> {
  const lines = createInterface({ input, output });
  try {
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    const answer = await Promise.race([lines.question(`${question} [y/N] `), ended]);
    return /^\s*y(es)?\s*$/i.test(answer);
  } finally {
    lines.close();
  }
}
