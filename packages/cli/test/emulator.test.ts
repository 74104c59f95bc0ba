import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emulatorFile } from '../src/config/emulator.ts';
import { jsonSchemaOf } from '../src/config/schema.ts';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const started: ChildProcess[] = [];

function start(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return child;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emulator-command-test-'));
});

async function configure(text: string): Promise<string> {
  const file = join(folder, 'emulator.yaml');
  await writeFile(file, text);
  return file;
}

/** What it printed until it ended by itself. */
async function ended(child: ChildProcess): Promise<{ code: number; out: string; err: string }> {
  const text = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => (text.out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text.err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...text };
}

/** Code that knows nothing of the emulator. */
const application = `
  import { DefaultAzureCredential } from '@azure/identity';
  import { SecretClient } from '@azure/keyvault-secrets';
  const client = new SecretClient('https://shop.vault.azure.net', new DefaultAzureCredential());
  console.log((await client.getSecret('greeting')).value);
`;

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
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await rm(folder, { recursive: true });
});

const shop = `
vaults:
  - name: shop
    secrets: [{ name: greeting, value: hello, expires: 2027-01-31 }]
`;

describe('keyturn emulator', () => {
  it('serves a process that knows nothing of it, through the variables it prints', async () => {
    const emulator = start([main, 'emulator', '--config', await configure(shop)]);
    const lines = await firstLines(emulator, 8);
    const variables = Object.fromEntries(
      lines.flatMap((line) => {
        const [, name, value] = /^export (\w+)='(.*)'$/.exec(line) ?? [];
        return name === undefined ? [] : [[name, value]];
      }),
    );
    expect(lines[0]).toContain('https://shop.vault.azure.net');
    const child = start(['--input-type=module', '-e', application], { ...process.env, ...variables });
    expect(await firstLines(child, 1)).toEqual(['hello']);
  });

  it('runs a command with the environment set and ends with its exit code', async () => {
    const file = await configure(shop);
    const command = [process.execPath, '--input-type=module', '-e', `${application} process.exit(7);`];
    const { code, out } = await ended(start([main, 'emulator', '--config', file, '--exec', ...command]));
    expect({ code, out }).toEqual({ code: 7, out: 'hello\n' });
  });

  it('leads the command to its identity, whatever other one the environment names', async () => {
    const file = await configure(shop);
    const id = 'aaaaaaaa-0000-4000-8000-000000000000';
    const other = {
      AZURE_TENANT_ID: id,
      AZURE_CLIENT_ID: id,
      AZURE_CLIENT_SECRET: 'x',
      IDENTITY_SERVER_THUMBPRINT: 'x',
    };
    const command = [process.execPath, '--input-type=module', '-e', application];
    const args = [main, 'emulator', '--config', file, '--exec', ...command];
    expect((await ended(start(args, { ...process.env, ...other }))).out).toBe('hello\n');
  });

  it('lets the command reach what it reached without a proxy, and no other proxy', async () => {
    const code =
      'const { NO_PROXY, no_proxy, https_proxy } = process.env; console.log(NO_PROXY, no_proxy, https_proxy)';
    const own = {
      NO_PROXY: 'example.com,.vault.azure.net',
      no_proxy: 'example.org,*',
      https_proxy: 'http://127.0.0.1:9',
    };
    const args = [main, 'emulator', '--exec', process.execPath, '-e', code];
    expect((await ended(start(args, { ...process.env, ...own }))).out).toBe(
      '127.0.0.1,localhost,example.com,example.org undefined undefined\n',
    );
  });

  it('prints variables that a shell reads, whatever the folder is called', async () => {
    const data = join(folder, "it's");
    const emulator = start([main, 'emulator', '--data', data]);
    const lines = await firstLines(emulator, 8);
    const child = spawn('sh', ['-c', `${lines.join('\n')}\nprintf %s "$NODE_EXTRA_CA_CERTS"`]);
    expect((await ended(child)).out).toBe(join(data, 'ca.pem'));
  });

  it('says which command could not be run', async () => {
    const { code, err } = await ended(start([main, 'emulator', '--exec', 'no-such-program']));
    expect({ code, err }).toEqual({
      code: 2,
      err: 'keyturn: no-such-program could not be run (ENOENT).\n  hint: Name a program that is on the PATH.\n',
    });
  });

  it('says how to run a command that may not be executed', async () => {
    const file = join(folder, 'app.mjs');
    await writeFile(file, '');
    const { code, err } = await ended(start([main, 'emulator', '--exec', file]));
    expect(code).toBe(2);
    expect(err).toContain(`hint: It may not be executed. Name the program that runs it: node ${file}.`);
  });

  it('keeps from the command what would lead it to another credential or another proxy', async () => {
    const file = await configure(shop);
    const command = [process.execPath, '--input-type=module', '-e', application];
    const { code, out, err } = await ended(
      start([main, 'emulator', '--config', file, '--exec', ...command], {
        ...process.env,
        AZURE_TENANT_ID: '22222222-1111-1111-1111-111111111111',
        AZURE_CLIENT_ID: '22222222-1111-1111-1111-111111111111',
        AZURE_CLIENT_SECRET: 'hunter2',
        AZURE_TOKEN_CREDENTIALS: 'dev',
        https_proxy: 'http://127.0.0.1:1',
      }),
    );
    expect({ code, out }).toEqual({ code: 0, out: 'hello\n' });
    expect(err).toMatch(/the command is not given .*AZURE_CLIENT_SECRET/);
    expect(err).not.toContain('hunter2');
  });

  it('leaves the client id of an identity that there is to the command', async () => {
    const clientId = '11111111-1111-1111-1111-111111111111';
    const file = await configure(
      `${shop}identities: [{ name: a, systemAssigned: true, clientId: ${clientId} }]`,
    );
    const command = [process.execPath, '-p', 'process.env.AZURE_CLIENT_ID'];
    const emulator = start([main, 'emulator', '--config', file, '--exec', ...command], {
      ...process.env,
      AZURE_CLIENT_ID: clientId,
    });
    expect((await ended(emulator)).out).toBe(`${clientId}\n`);
  });

  it('lets the command clean up at an interrupt', async () => {
    const code = `
      process.on('SIGINT', () => setTimeout(() => { console.log('clean'); process.exit(0); }, 200));
      setInterval(() => {}, 1000);
      console.log('up');
    `;
    const emulator = start([main, 'emulator', '--exec', process.execPath, '-e', code]);
    let out = '';
    emulator.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out === 'up\n') emulator.kill('SIGINT');
    });
    expect(await once(emulator, 'close')).toEqual([0, null]);
    expect(out).toBe('up\nclean\n');
  });

  it('says where it listens as one JSON object and ends at an interrupt', async () => {
    const emulator = start([main, 'emulator', '--json']);
    const [line = ''] = await firstLines(emulator, 1);
    const addresses = JSON.parse(line) as Record<string, string>;
    expect(Object.keys(addresses)).toEqual([
      'vaultUrl',
      'directUrl',
      'identityEndpoint',
      'identityHeader',
      'imdsUrl',
      'caFile',
      'adminUrl',
      'proxyUrl',
    ]);
    expect(await (await fetch(addresses['adminUrl'] ?? '')).json()).toMatchObject({
      vaultUrl: 'https://local.vault.azure.net',
    });
    emulator.kill('SIGINT');
    expect(await once(emulator, 'exit')).toEqual([0, null]);
  });

  it('keeps everything in its data folder', async () => {
    const set = application.replace('console.log', "await client.setSecret('greeting', 'kept'); console.log");
    const file = await configure(shop);
    for (const code of [set, application]) {
      const command = ['--exec', process.execPath, '--input-type=module', '-e', code];
      const args = [main, 'emulator', '--config', file, '--data', join(folder, 'data'), ...command];
      expect((await ended(start(args))).out).toBe('kept\n');
    }
  });

  it.each([
    [
      'an unknown key',
      'vaults:\n  - name: shop\n    colour: blue\n',
      /emulator\.yaml:3: vaults\.0\.colour: there is no such key\.\n {2}hint: Known here: name, secrets\./,
    ],
    [
      'an unknown role',
      'identities:\n  - name: a\n    roles: [{ role: Owner }]\n',
      /emulator\.yaml:3: identities\.0\.roles\.0\.role: .*Key Vault Reader/,
    ],
    [
      'an identity that is there twice',
      'identities:\n  - name: a\n  - name: a\n',
      /emulator\.yaml:3: identities\.1\.name: There is another a\./,
    ],
    [
      'a scope that is nothing here',
      'vaults: [{ name: shop }]\nidentities:\n  - name: a\n    roles: [{ role: Key Vault Reader, scope: shpo/a }]\n',
      /emulator\.yaml:4: identities\.0\.roles\.0\.scope: There is no shpo, but shop\./,
    ],
    [
      'events of a vault that is not there',
      'subscriptions: [{ endpoint: "http://127.0.0.1:1/", vault: shop }]\n',
      /emulator\.yaml:1: subscriptions\.0\.vault: There is no vault shop, but local\./,
    ],
    [
      'a star that YAML takes for an alias',
      'vaults:\n  - name: *shop\n',
      /emulator\.yaml:2: is not YAML: there is no anchor for \*shop\.\n {2}hint: .*quotation marks/,
    ],
    [
      'a date that is none',
      'vaults: [{ name: shop, secrets: [{ name: a, value: hunter2, expires: soon }] }]\n',
      /emulator\.yaml:1: .*must be a date/,
    ],
  ])('names file, line and what to do for %s', async (_what, text, message) => {
    const { code, err } = await ended(start([main, 'emulator', '--config', await configure(text)]));
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err).not.toContain('hunter2');
  });

  it.each([
    ['a port that can’t be', ['--port', 'many'], 2, /ports is 0 to 65532/],
    ['a port too near the last one', ['--port', '65533'], 2, /ports is 0 to 65532/],
    ['an empty command', ['--exec', ''], 2, /--exec and a command go together/],
    ['a command without --exec', ['node', 'app.js'], 2, /--exec and a command go together/],
    ['a data folder that is a file', ['--data', main], 11, /data folder|can't be/],
  ])('says what is wrong with %s', async (_what, args, exitCode, message) => {
    const { code, err } = await ended(start([main, 'emulator', ...args]));
    expect({ code, err }).toEqual({ code: exitCode, err: expect.stringMatching(message) as string });
  });
});

describe('the schema of emulator.yaml', () => {
  it('is the file that editors get', async () => {
    const file = new URL('../schema/emulator.schema.json', import.meta.url);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(jsonSchemaOf(emulatorFile))),
    );
  });

  it('takes the example of the documentation', async () => {
    const readme = await readFile(new URL('../../emulator/README.md', import.meta.url), 'utf8');
    const example = /```yaml\n(?<yaml>[^]*?)```/.exec(readme)?.groups?.['yaml'] ?? '';
    expect(Object.keys(emulatorFile.schema.parse(parse(example)))).toContain('subscriptions');
    expect(example).toContain('systemAssigned');
  });
});
