import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const started: ChildProcess[] = [];

function start(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return child;
}

async function firstLines(child: ChildProcess, count: number): Promise<string[]> {
  if (!child.stdout) throw new Error('It has no output.');
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (lines.length === count) break;
  }
  return lines;
}

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null) child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  }
});

describe('keyturn emulator', () => {
  it('serves a process that knows nothing of it, through the variables it prints', async () => {
    const emulator = start([main, 'emulator', '--name', 'shop']);
    const lines = await firstLines(emulator, 6);
    const variables = Object.fromEntries(
      lines.flatMap((line) => {
        const [, name, value] = /^export (\w+)='(.*)'$/.exec(line) ?? [];
        return name === undefined ? [] : [[name, value]];
      }),
    );
    expect(lines[0]).toContain('https://shop.vault.azure.net');
    const application = `
      import { DefaultAzureCredential } from '@azure/identity';
      import { SecretClient } from '@azure/keyvault-secrets';
      const client = new SecretClient('https://shop.vault.azure.net', new DefaultAzureCredential());
      await client.setSecret('greeting', 'hello');
      console.log((await client.getSecret('greeting')).value);
    `;
    const child = start(['--input-type=module', '-e', application], { ...process.env, ...variables });
    expect(await firstLines(child, 1)).toEqual(['hello']);
  });

  it('says where it listens as one JSON object and ends at an interrupt', async () => {
    const emulator = start([main, 'emulator', '--json']);
    const [line = ''] = await firstLines(emulator, 1);
    expect(Object.keys(JSON.parse(line) as object)).toEqual([
      'vaultUrl',
      'identityEndpoint',
      'identityHeader',
      'imdsUrl',
      'caFile',
      'proxyUrl',
    ]);
    emulator.kill('SIGINT');
    expect(await once(emulator, 'exit')).toEqual([0, null]);
  });

  it('says what is wrong with a port and exits as wrong usage', async () => {
    const emulator = start([main, 'emulator', '--port', 'many']);
    let text = '';
    emulator.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const [code] = (await once(emulator, 'close')) as [number];
    expect(code).toBe(2);
    expect(text).toMatch(/A port is 0 to 65535/);
  });
});
