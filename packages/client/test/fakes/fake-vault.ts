import type { SecretVault } from '../../src/index.ts';

/** A vault whose answers a test decides: by default at once, with the version published last. */
export interface FakeVault extends SecretVault {
  publish(version: string, value?: string): void;
  readonly reads: readonly PendingRead[];
  /** Reads that are neither answered nor aborted. */
  readonly inFlight: number;
  /** `answer`: at once; `hold`: when the test calls `answer` or `fail` of the read; an error: every read fails. */
  behaviour: 'answer' | 'hold' | Error;
}

export interface PendingRead {
  readonly name: string;
  readonly aborted: boolean;
  /** Answers with the version that was current when the read began, or the one given. */
  answer(version?: string): void;
  fail(error: Error): void;
}

export function fakeVault(first = 'v1'): FakeVault {
  let current = first;
  const values = new Map([[first, `value of ${first}`]]);
  const reads: (PendingRead & { open: boolean })[] = [];
  const vault: FakeVault = {
    behaviour: 'answer',
    reads,
    get inFlight() {
      return reads.filter(({ open, aborted }) => open && !aborted).length;
    },
    publish(version, value = `value of ${version}`) {
      current = version;
      values.set(version, value);
    },
    getSecret(name, { abortSignal } = {}) {
      const began = current;
      return new Promise((resolve, reject) => {
        const read = {
          name,
          open: true,
          get aborted() {
            return abortSignal?.aborted ?? false;
          },
          answer(version = began) {
            read.open = false;
            resolve({ value: values.get(version) ?? '', properties: { version } });
          },
          fail(error: Error) {
            read.open = false;
            reject(error);
          },
        };
        reads.push(read);
        if (vault.behaviour === 'answer') read.answer();
        else if (vault.behaviour !== 'hold') read.fail(vault.behaviour);
      });
    },
  };
  return vault;
}

export function httpError(statusCode: number, headers: Record<string, string> = {}): Error {
  return Object.assign(new Error(`answered ${statusCode}`), {
    statusCode,
    response: { headers: { get: (name: string) => headers[name] } },
  });
}
