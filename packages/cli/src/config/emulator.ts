import { settingsSchema, type CheckedSettings } from '@keyturn/emulator';
import type { FileKind } from './load.ts';

/** `emulator.yaml`, of the local Key Vault. */
export const emulatorFile: FileKind<CheckedSettings> = {
  schema: settingsSchema,
  keys: 'keyturn schema emulator',
};
