// Opens tracing as the environment says, and prints what of OpenTelemetry was loaded for it.
import { registerHooks } from 'node:module';

const loaded = new Set<string>();
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('@opentelemetry/')) loaded.add(specifier);
    return next(specifier, context);
  },
});
const { openTracing } = await import('../../src/tracing.ts');
const tracing = await openTracing(process.env);
await tracing.close();
process.stdout.write(JSON.stringify([...loaded]));
