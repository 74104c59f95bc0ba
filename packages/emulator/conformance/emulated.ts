import { startEmulator, type Emulator, type EmulatorOptions } from '@keyturn/emulator';
import type { Need } from './check.ts';
import { identities, standingSecrets } from './identities.ts';
import { createSubject, type Connection } from './subject.ts';
import type { Subjects } from './subjects.ts';

type Variant = 'plain' | 'slow' | 'emptyPages' | 'throttling';

const variantFor: Readonly<Record<Need, Variant>> = {
  purge: 'plain',
  identities: 'plain',
  identityEndpoint: 'plain',
  slowDeletion: 'slow',
  shortRetention: 'slow',
  emptyPages: 'emptyPages',
  throttling: 'throttling',
};

// Long enough for a few requests on a busy machine.
const deletionMs = 1_000;

const settings: Readonly<Record<Variant, EmulatorOptions>> = {
  plain: { vaults: [{ name: 'conformance', secrets: standingSecrets }], identities },
  slow: { vaults: [{ name: 'conformance' }], softDelete: { retentionDays: 7, delayMs: deletionMs } },
  emptyPages: { vaults: [{ name: 'conformance' }], emptyPages: true },
  throttling: { vaults: [{ name: 'conformance' }, { name: 'neighbour' }], throttling: 'on' },
};

/** How the suite reaches the first vault of an emulator in this very process. */
export function connectionTo(emulator: Emulator): Connection {
  return {
    url: emulator.vaultUrl,
    credential: emulator.credential,
    agent: emulator.clientOptions.agent,
    pollMs: 20,
    patienceMs: 10_000,
    identity: {
      appService: { url: emulator.identityEndpoint, header: emulator.identityHeader },
      imds: emulator.imdsUrl,
      environment: emulator.environment,
    },
  };
}

export const startVariant = (variant: Variant): Promise<Emulator> => startEmulator(settings[variant]);

/** Emulators with the settings that checks need, each started when it is first asked for. */
export function emulatedSubjects(): Subjects {
  const started = new Map<Variant, Promise<Emulator>>();
  const subjects = new Map<Variant, ReturnType<typeof createSubject>>();

  return {
    name: 'the emulator',

    async find(need) {
      const variant = need === undefined ? 'plain' : variantFor[need];
      const starting = started.get(variant) ?? startVariant(variant);
      started.set(variant, starting);
      const emulator = await starting;
      const known = subjects.get(variant) ?? createSubject(connectionTo(emulator));
      subjects.set(variant, known);
      return known.subject;
    },

    async close() {
      for (const starting of started.values()) await (await starting).close();
      return { left: 0 };
    },
  };
}
