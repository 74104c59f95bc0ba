import type { ChangeLog } from '../change-log.ts';
import type { Timetable } from '../clock.ts';
import type { EventType } from './vault-event.ts';

// A vault tells of the expiry of a secret's current version: 30 days before, and when it is there. How early
// can't be changed for secrets: https://learn.microsoft.com/azure/event-grid/event-schema-key-vault

const nearMs = 30 * 24 * 3_600_000;

/** A secret's current version, as far as its expiry goes. Times are epoch seconds. */
export interface Watched {
  readonly version: string;
  readonly id: string;
  readonly notBefore?: number;
  readonly expires?: number;
}

export interface SecretName {
  readonly vault: string;
  readonly name: string;
}

export interface ExpiryWatch {
  /** The secret's current version is this one from now on; undefined: the secret is gone. */
  currentIs(secret: SecretName, current: Watched | undefined): void;
}

interface Told {
  readonly key: string;
  readonly version: string;
  readonly expires: number;
  readonly type: EventType;
}

interface Entry {
  readonly secret: SecretName;
  readonly current: Watched;
  /** Since when its expiry is this one, epoch milliseconds. */
  readonly since: number;
}

export function openExpiryWatch(ports: {
  readonly clock: Timetable;
  readonly log: ChangeLog;
  readonly delayMs: number;
  /** Resolves when everyone who is there was told. */
  readonly tell: (type: EventType, secret: SecretName, current: Watched) => Promise<void>;
  /** What was told could not be remembered. */
  readonly onFailure: (error: unknown) => void;
}): ExpiryWatch {
  const { clock, tell } = ports;
  const entries = new Map<string, Entry>();
  /** When a secret is looked at next. */
  const planned = new Map<string, number>();
  /** Of the latest version only, since no other becomes the current one again; one fact for every expiry it had. */
  const told = new Map<string, Told[]>();

  const changes = ports.log.open<Told>('expiry', {
    apply(fact) {
      const facts = told.get(fact.key)?.filter(({ version }) => version === fact.version) ?? [];
      told.set(fact.key, [...facts, fact]);
    },
    *snapshot() {
      for (const facts of told.values()) yield* facts;
    },
  });

  const wasTold = (key: string, type: EventType, { version, expires }: Watched): boolean =>
    told
      .get(key)
      ?.some((fact) => fact.type === type && fact.version === version && fact.expires === expires) ?? false;

  /** What is still to be told of a version, and when. */
  const due = (key: string, { current, since }: Entry) => {
    if (current.expires === undefined) return [];
    const expiry = current.expires * 1_000;
    const noticed = since + ports.delayMs;
    // The delay holds up no expiry that is still to come, and a near expiry is never told after it.
    const expired = expiry > since ? expiry : noticed;
    const moments = [
      { type: 'SecretNearExpiry', time: Math.min(Math.max(expiry - nearMs, noticed), expired) },
      { type: 'SecretExpired', time: expired },
    ] as const;
    return moments.filter(({ type }) => !wasTold(key, type, current));
  };

  /** Tells what is due, and plans for the rest. */
  const look = async (key: string): Promise<void> => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    const telling: Promise<void>[] = [];
    for (const { type, time } of due(key, entry)) {
      if (time > clock.now().getTime()) {
        plan(key, time);
        break;
      }
      const { version, expires = 0 } = entry.current;
      changes.append({ key, version, expires, type });
      telling.push(tell(type, entry.secret, entry.current));
    }
    await Promise.all(telling);
  };

  const plan = (key: string, time: number): void => {
    // One that comes sooner will find that it is not time yet, and plan anew.
    const sooner = planned.get(key);
    if (sooner !== undefined && sooner <= time) return;
    planned.set(key, time);
    clock.at(time, () => {
      if (planned.get(key) === time) planned.delete(key);
      return look(key).catch(ports.onFailure);
    });
  };

  return {
    currentIs(secret, current) {
      const key = `${secret.vault}/${secret.name.toLowerCase()}`;
      if (current === undefined) return void entries.delete(key);
      const before = entries.get(key);
      const same = before?.current.version === current.version && before.current.expires === current.expires;
      entries.set(key, { secret, current, since: same ? before.since : clock.now().getTime() });
      look(key).catch(ports.onFailure);
    },
  };
}
