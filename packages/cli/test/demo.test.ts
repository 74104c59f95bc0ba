import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
// The processes that the demo starts are compiled, so the whole of it is tested as compiled.
import { demoCommand } from '../dist/commands/demo.js';
import type { Stage } from '../dist/demo/stage.js';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-demo-test-'));
  await chmod(folder, 0o711); // started by root, PostgreSQL runs as another user
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/**
 * Every password that a version of a secret on the stage ever held, disabled versions included. The journal's own
 * is none of them: its server has to read it from a file.
 */
async function everyPassword({ vault }: Stage): Promise<string[]> {
  const passwords: string[] = [];
  for await (const { name } of vault.listPropertiesOfSecrets()) {
    if (name === 'keyturn-journal') continue;
    for await (const { version = '', enabled } of vault.listPropertiesOfSecretVersions(name)) {
      if (enabled === false) await vault.updateSecretProperties(name, version, { enabled: true });
      const { value = '' } = await vault.getSecret(name, { version });
      passwords.push(new URL(value).password);
    }
  }
  return passwords;
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function captured(): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    stream: Object.assign(stream, { isTTY: false }) as unknown as NodeJS.WriteStream,
    text: () => text,
  };
}

describe('keyturn demo', () => {
  it('shows no failed request with keyturn, real ones with the usual ways, and writes no value anywhere', async () => {
    const [out, err] = [captured(), captured()];
    const report = join(folder, 'report.html');
    let passwords: string[] = [];
    let leaks: string[] = [];
    const inspect = async (stage: Stage) => {
      passwords = await everyPassword(stage);
      const files = await filesBelow(stage.folder);
      expect(files.some((file) => file.includes('journal'))).toBe(true);
      for (const file of files) {
        const text = await readFile(file, 'latin1');
        leaks = [...leaks, ...passwords.filter((password) => text.includes(password)).map(() => file)];
      }
    };
    const code = await demoCommand(
      { json: true, report },
      { out: out.stream, err: err.stream },
      new Promise(() => undefined),
      inspect,
    );

    const result = JSON.parse(out.text()) as {
      contenders: { name: string; instances: number; requests: number; failed: number; outageMs: number }[];
      rotation: {
        id: string;
        phases: { name: string }[];
        overlapMs: number;
        convergedMs: number;
        oldCredentialRefused: boolean;
      };
      report: string;
    };
    expect(code).toBe(0);
    const [environment, cache, keyturn] = result.contenders;
    expect(result.contenders.map(({ name, instances }) => [name, instances])).toEqual([
      ['environment variable', 3],
      ['cache, no overlap', 3],
      ['keyturn', 3],
    ]);
    expect(keyturn).toMatchObject({ failed: 0, outageMs: 0 });
    expect(environment?.failed).toBeGreaterThan(0);
    expect(cache?.failed).toBeGreaterThan(0);
    expect(Math.min(...result.contenders.map(({ requests }) => requests))).toBeGreaterThan(50);
    expect(result.rotation.phases.map(({ name }) => name)).toEqual([
      'preflight',
      'issue',
      'prove',
      'publish',
      'announce',
      'converge',
      'verify',
      'revoke',
      'close',
    ]);
    expect(result.rotation.oldCredentialRefused).toBe(true);
    expect(result.rotation.overlapMs).toBeGreaterThanOrEqual(result.rotation.convergedMs);

    const html = await readFile(result.report, 'utf8');
    expect(html).not.toMatch(/(src|href)="https?:/);
    expect(passwords.length).toBeGreaterThanOrEqual(7);
    for (const text of [out.text(), err.text(), html]) {
      expect(passwords.filter((password) => text.includes(password))).toEqual([]);
    }
    expect(leaks).toEqual([]);
  }, 120_000);

  it('says at once that its report could not be written', async () => {
    const [out, err] = [captured(), captured()];
    const output = { out: out.stream, err: err.stream };
    const demo = demoCommand(
      { json: false, report: join(folder, 'no', 'report.html') },
      output,
      new Promise(() => undefined),
    );
    await expect(demo).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('--report') as string,
    });
    expect(err.text()).toBe('');
  });

  it('leaves nothing running and nothing behind when it is interrupted', async () => {
    const child = spawn(process.execPath, [main, 'demo', '--report', join(folder, 'report.html')], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true, // a process group of its own, as a terminal gives it
    });
    let text = '';
    const rotating = new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('converge')) resolve();
      });
    });
    const exited = once(child, 'exit');
    await Promise.race([rotating, exited]);
    const started = await processesThatMention(folder);
    expect(started.length, text).toBeGreaterThan(0);
    process.kill(-(child.pid ?? 0), 'SIGINT'); // as Ctrl-C does: everyone in the group
    const [code] = (await exited) as [number];
    expect(code).toBe(130);
    await expect.poll(() => processesThatMention(folder)).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.startsWith('keyturn'))).toEqual([]);
  }, 120_000);
});

/** Process ids whose arguments or environment mention a path: all that was started below it. */
async function processesThatMention(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const id of (await readdir('/proc')).filter(
    (name) => /^\d+$/.test(name) && name !== String(process.pid),
  )) {
    const texts = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${id}/${file}`, 'latin1').catch(() => '')),
    );
    if (texts.some((text) => text.includes(path))) found.push(id);
  }
  return found;
}
