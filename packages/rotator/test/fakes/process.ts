/**
 * Where a process dies: at a port call, before it, after it, or so that its effect comes late. A call is given
 * by its number (the first is 1), or by its name and the how-manieth of that name it is (1 if absent).
 */
export interface Crash {
  readonly call: number | string;
  readonly nth?: number;
  readonly when: 'before' | 'after' | 'late';
}

/** One process of the rotator. Once it has crashed, nothing in it ever goes on. */
export interface Process {
  /** The port calls it made, in order. */
  readonly calls: readonly string[];
  /** Resolves when the process dies. */
  readonly died: Promise<void>;
  /** Never resolves in a dead process. */
  alive(): Promise<void>;
  crash(): void;
  /** The same port, seen from inside this process. */
  connect<T extends object>(name: string, port: T): T;
}

export function startProcess(options: {
  crash?: Crash | undefined;
  /** Has the effect of a call arrive later; only asked for `late`. */
  later: (effect: () => void) => void;
  /** Called before each call: time passes. */
  onCall: () => void;
  afterCall: (name: string) => void;
}): Process {
  const { crash, later, onCall, afterCall } = options;
  const calls: string[] = [];
  const died = Promise.withResolvers<void>();
  const never = new Promise<never>(() => undefined);
  let dead = false;

  function die(): void {
    dead = true;
    died.resolve();
  }

  function diesAt(number: number, when: Crash['when']): boolean {
    if (crash?.when !== when || !isMeant(crash, number)) return false;
    die();
    return true;
  }

  function isMeant({ call: wanted, nth = 1 }: Crash, number: number): boolean {
    if (typeof wanted === 'number') return wanted === number;
    const soFar = calls.slice(0, number);
    return soFar.at(-1) === wanted && soFar.filter((name) => name === wanted).length === nth;
  }

  async function call(name: string, doing: () => unknown): Promise<unknown> {
    if (dead) return never;
    onCall();
    if (dead) return never;
    const number = calls.push(name);
    if (diesAt(number, 'before')) return never;
    if (diesAt(number, 'late')) {
      later(() => void (async () => doing())().catch(() => undefined));
      return never;
    }
    const [result] = await Promise.allSettled([(async () => doing())()]);
    afterCall(name);
    if (dead || diesAt(number, 'after')) return never;
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  }

  return {
    calls,
    died: died.promise,
    alive: () => (dead ? never : Promise.resolve()),
    crash: die,
    connect: (name, port) =>
      new Proxy(port, {
        get(target, key, receiver) {
          const member: unknown = Reflect.get(target, key, receiver);
          if (typeof member !== 'function') return member;
          return (...args: unknown[]) => call(`${name}.${String(key)}`, () => member.apply(target, args));
        },
      }),
  };
}
