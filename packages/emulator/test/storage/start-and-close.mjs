// Starts the blob service, uses it, closes it, and prints what it changed in the process. Must end by itself.
import { Agent, get } from 'node:http';
import { startAzurite } from '../../src/storage/azurite.ts';

const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)]);
const before = { listeners: listeners(), environment: Object.keys(process.env) };
const azurite = await startAzurite({ keysOf: () => ['AAAA'] });
const agent = new Agent({ keepAlive: true });
const status = await new Promise((resolve, reject) => {
  const request = get(
    { port: azurite.port, host: '127.0.0.1', path: '/orders/box?restype=container', agent },
    (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    },
  );
  request.on('error', reject);
});
await azurite.close();
const after = { listeners: listeners(), environment: Object.keys(process.env) };
console.log(JSON.stringify({ status, before, after }));
