import { emulatorFile } from '../config/emulator.ts';
import { configurationFile, jsonSchemaOf } from '../config/schema.ts';
import type { Output } from '../output.ts';

/** `keyturn schema`: the JSON Schema of a configuration file, for editors. */
export function schemaCommand(file: 'rotator' | 'emulator', { out }: Output): void {
  const schema = jsonSchemaOf(file === 'emulator' ? emulatorFile : configurationFile);
  out.write(`${JSON.stringify(schema, null, 2)}\n`);
}
