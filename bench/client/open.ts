// What importing and opening costs, in a process of its own, started with --expose-gc.

const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
const vault = { getSecret: () => Promise.resolve({ value: 'hunter2', properties: { version: 'v1' } }) };

collect();
const heapBefore = process.memoryUsage().heapUsed;
const began = performance.now();
const { openSecrets } = await import('@keyturn/client');
const secrets = openSecrets({ vault });
const ms = performance.now() - began;
collect();
const heapBytes = process.memoryUsage().heapUsed - heapBefore;
process.stdout.write(`${JSON.stringify({ ms, heapBytes, healthy: secrets.health().healthy })}\n`);
