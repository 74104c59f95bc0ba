import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { openProgress } from '../src/progress.ts';

it.each([false, true])(
  'no control character of an instance’s name reaches the output (terminal: %s)',
  (isTTY) => {
    const stream = new PassThrough();
    let text = '';
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const progress = openProgress(
      'auto',
      Object.assign(stream, { isTTY, columns: 200 }) as unknown as NodeJS.WriteStream,
    );
    progress.show({
      kind: 'held',
      rotation: 'orders-db@1',
      at: '2027-01-01T00:00:00.000Z',
      stragglers: ['orders-api-1\u001B]0;owned\u0007', 'line\nbreak'],
    });
    expect(text.replaceAll('\r\u001B[2K', '').trimEnd()).not.toMatch(/\p{Cc}/u);
    expect(text).toContain('orders-api-1?]0;owned?');
  },
);
