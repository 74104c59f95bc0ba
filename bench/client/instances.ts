import { Agent, get } from 'node:http';
import { openSecrets, type SecretVault } from '@keyturn/client';

// Many instances of an application in one process: `instances.ts COUNT URL FIRST`. Ends with its standard input.

const [count = '1', url = '', first = '0'] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 32 });

const vault: SecretVault = {
  getSecret: () =>
    new Promise((resolve, reject) => {
      get(`${url}/secret`, { agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve(JSON.parse(text) as Awaited<ReturnType<SecretVault['getSecret']>>));
      }).on('error', reject);
    }),
};

for (let number = 0; number < Number(count); number += 1) {
  const instance = `instance-${Number(first) + number}`;
  const secrets = openSecrets({ vault, ttlMs: 3_600_000, rotator: { url, consumer: 'bench', instance } });
  await secrets.get('orders-db');
}
process.stdin.resume().on('end', () => process.exit(0));
