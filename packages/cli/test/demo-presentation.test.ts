import { stripVTControlCharacters } from 'node:util';
import type { Phase } from '@keyturn/rotator';
import { describe, expect, test } from 'vitest';
import type { ContenderName, Course, RotationCourse, Sample } from '../src/demo/course.ts';
import { renderReport } from '../src/demo/report.ts';
import { drawScreen } from '../src/demo/drawing.ts';
import { liveScreen, plainLines } from '../src/demo/screen.ts';
import { spread } from '../src/demo/spread.ts';
import { resultTable } from '../src/demo/table.ts';
import { buckets, outageMs, outages, totals } from '../src/demo/timeline.ts';

const newVersion = '3f9c2ab04d7e4c1f9a0b6d2e8c5f7a11';
const oldVersion = '1b77e0c2f5d34a6c8e9f0a1b2c3d4e5f';
const rotatedAtMs = 8_000;
const lengths: readonly (readonly [Phase, number])[] = [
  ['preflight', 30],
  ['issue', 40],
  ['prove', 20],
  ['publish', 30],
  ['announce', 2],
  ['converge', 9_000],
  ['verify', 30],
  ['revoke', 120],
  ['close', 1],
];
const about = { title: 'keyturn demo', startedAt: new Date(Date.UTC(2030, 0, 2, 3, 4, 5)), proof: 'refused' };
const sizes = [60, 80, 120];

const names = (prefix: string) => [1, 2, 3].map((number) => `${prefix}-${number}`);

/** A demo as it stands after `nowMs`, up to its end at 30 s: three instances each, eight requests a second. */
function courseAt(nowMs: number): Course {
  const contender = (
    name: ContenderName,
    instances: readonly string[],
    fails: (atMs: number, index: number) => boolean,
  ) => ({ name, instances, samples: instances.flatMap((instance, index) => load(instance, index, fails)) });
  const load = (instance: string, index: number, fails: (atMs: number, index: number) => boolean): Sample[] =>
    Array.from({ length: 240 }, (_, request) => request * 125 + index * 40)
      .filter((atMs) => atMs <= nowMs)
      .map((atMs) => ({ atMs, instance, ok: !fails(atMs, index) }));
  return {
    nowMs,
    doing: nowMs < rotatedAtMs ? 'all nine applications serve' : 'rotating all three at once',
    ...(nowMs < rotatedAtMs ? {} : { rotatedAtMs }),
    contenders: [
      contender('environment variable', names('env'), (atMs) => atMs > rotatedAtMs),
      contender(
        'cache, no overlap',
        names('cache'),
        (atMs, index) => atMs > rotatedAtMs && atMs < rotatedAtMs + 1_500 + index * 1_200,
      ),
      contender('keyturn', names('orders'), () => false),
    ],
    rotation: rotationAt(nowMs, names('orders')),
  };
}

function rotationAt(nowMs: number, instances: readonly string[]): RotationCourse {
  if (nowMs < rotatedAtMs) return { id: undefined, phases: [], adoptions: [] };
  let startMs = rotatedAtMs;
  const planned = lengths.map(([name, lengthMs]) => {
    const phase = { name, startMs, endMs: startMs + lengthMs };
    startMs += lengthMs;
    return phase;
  });
  const endOf = (phase: Phase) => planned.find(({ name }) => name === phase)?.endMs ?? Infinity;
  const times = { publishedMs: endOf('publish'), convergedMs: endOf('converge'), revokedMs: endOf('revoke') };
  const reached = Object.fromEntries(Object.entries(times).filter(([, atMs]) => atMs <= nowMs));
  const adoptions = instances
    .map((instance, index) => ({ instance, version: newVersion, atMs: 8_300 + index * 1_900 }))
    .filter(({ atMs }) => atMs <= nowMs);
  const late = instances.filter((instance) => !adoptions.some((one) => one.instance === instance));
  return {
    id: `orders-db@${oldVersion}`,
    phases: planned
      .filter((phase) => phase.startMs <= nowMs)
      .map(({ name, startMs: from, endMs }) =>
        endMs <= nowMs ? { name, startMs: from, endMs } : { name, startMs: from },
      ),
    adoptions,
    ...reached,
    ...(nowMs < endOf('announce') ? {} : { standing: standing(nowMs, instances, late) }),
    ...(nowMs < endOf('revoke') ? {} : { oldCredentialRefused: true }),
  };
}

function standing(nowMs: number, instances: readonly string[], late: readonly string[]) {
  const oldSessions = late.flatMap((instance) => [instance, instance]);
  const leftMs = rotatedAtMs + 9_000 - nowMs;
  return {
    version: newVersion,
    leaving: 'orders_a',
    oldSessions,
    instances: instances.map((instance) => ({
      consumer: 'orders',
      instance,
      version: late.includes(instance) ? oldVersion : newVersion,
      held: [],
      refused: {},
    })),
    verdicts: [
      {
        check: 'clock' as const,
        passed: leftMs <= 0,
        why:
          leftMs <= 0
            ? 'the shortest safe time has passed'
            : `${(leftMs / 1000).toFixed(1)} s of the shortest safe time left`,
        stragglers: [],
      },
      {
        check: 'adoption' as const,
        passed: late.length === 0,
        why: `${instances.length - late.length} of ${instances.length} instances have adopted it`,
        stragglers: late.map((instance) => `orders/${instance}`),
      },
      {
        check: 'usage' as const,
        passed: late.length === 0,
        why:
          late.length === 0
            ? 'no session uses the old credential'
            : `${oldSessions.length} sessions use the old credential`,
        stragglers: oldSessions.map((instance) => `session of ${instance}`),
      },
    ],
  };
}

/** The line under keyturn's time line. */
const bracket = (nowMs: number) =>
  drawScreen(courseAt(nowMs), { columns: 120, rows: 40 }, false).find((text) => text.includes('├')) ?? '';

/** All the plain lines of a demo. */
const told = () => {
  let text = '';
  const lines = plainLines((line) => (text += `${line}\n`));
  for (let nowMs = 0; nowMs <= 30_000; nowMs += 250) lines.draw(courseAt(nowMs));
  lines.close();
  return text;
};

const count = (text: string) => told().split(text).length - 1;

const attributes = (tag: string) =>
  Object.fromEntries([...tag.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));

const elements = (markup: string, name: string) =>
  [...markup.matchAll(new RegExp(`<(?:rect|line|text) class="${name}"[^>]*>([^<]*)`, 'g'))].map(
    ([tag, text]) => ({
      text,
      ...attributes(tag),
    }),
  ) as { text: string; x: string; y: string; x1: string; width: string }[];

const sample = (atMs: number, instance: string, ok: boolean): Sample => ({ atMs, instance, ok });

describe('the arithmetic of the time lines', () => {
  test('a request counts in the bucket that its time falls into, and not at all outside', () => {
    const samples = [
      sample(0, 'a', true),
      sample(499, 'a', false),
      sample(500, 'a', true),
      sample(1_000, 'a', true),
    ];
    expect(buckets(samples, { fromMs: 0, toMs: 1_000, bucketMs: 500 })).toEqual([
      { fromMs: 0, served: 1, failed: 1 },
      { fromMs: 500, served: 1, failed: 0 },
    ]);
    expect(totals(samples)).toEqual({ requests: 4, served: 3, failed: 1 });
  });

  test('an outage lasts from the first failed request to the next success of the same instance', () => {
    const samples = [
      sample(100, 'a', false),
      sample(200, 'a', false),
      sample(250, 'b', true),
      sample(400, 'a', true),
    ];
    expect(outageMs(samples, 1_000)).toBe(300);
  });

  test('instances that fail at the same time are one outage, and apart they add up', () => {
    const a = [sample(100, 'a', false), sample(400, 'a', true)];
    const overlapping = [sample(300, 'b', false), sample(600, 'b', true)];
    const apart = [sample(700, 'c', false), sample(800, 'c', true)];
    expect(outageMs([...a, ...overlapping, ...apart], 1_000)).toBe(600);
    expect(outages([...apart, ...overlapping, ...a], 1_000)).toEqual([
      { fromMs: 100, toMs: 600 },
      { fromMs: 700, toMs: 800 },
    ]);
  });

  test('a failure without a success after it lasts until the end', () => {
    expect(outageMs([sample(100, 'a', true), sample(400, 'a', false)], 1_000)).toBe(600);
  });

  test('requests that ended out of order are put in order first', () => {
    expect(outageMs([sample(400, 'a', true), sample(100, 'a', false)], 1_000)).toBe(300);
  });

  test('who never failed had no outage', () => {
    expect(outageMs([sample(1, 'a', true)], 10)).toBe(0);
    expect(outageMs([], 10)).toBe(0);
  });
});

describe('the live screen', () => {
  const moments = [0, 400, 7_999, 8_050, 8_125, 9_000, 12_000, 17_100, 17_200, 30_000];

  test.for([20, 40, ...sizes])('no line exceeds %i columns at any moment of a demo', (columns) => {
    for (const nowMs of moments) {
      for (const line of drawScreen(courseAt(nowMs), { columns, rows: 40 }, false)) {
        expect(Array.from(line).length).toBeLessThanOrEqual(columns);
      }
    }
  });

  test('a low window gets fewer lines than it has rows', () => {
    expect(drawScreen(courseAt(12_000), { columns: 80, rows: 12 }, false).length).toBeLessThan(12);
  });

  test('served, failed and partly failed cells differ without colour', () => {
    const lines = drawScreen(courseAt(12_000), { columns: 120, rows: 40 }, false);
    const line = (name: string) => lines.find((text) => text.startsWith(name)) ?? '';
    expect(line('environment variable')).toMatch(/▅▅▅.*✗✗✗/);
    expect(line('cache, no overlap')).toMatch(/▅.*✗.*▂/);
    expect(line('keyturn  ')).toMatch(/▅{20,} *289 +0$/);
  });

  test('the overlap window starts under the cell of the publishing and grows', () => {
    // Half a second a cell: published at 8.12 s, so in the seventeenth cell after the names.
    expect(bracket(12_000).indexOf('├')).toBe(22 + 16);
    expect(bracket(12_000)).toContain('overlap window 3.9 s');
    expect(bracket(15_000).indexOf('╶') - bracket(13_000).indexOf('╶')).toBe(4);
    expect(bracket(30_000)).toContain('┤');
    expect(bracket(30_000)).toContain('overlap window 9.2 s');
  });

  test('it tells the phase, the versions, the users of the old role and the open checks', () => {
    const text = drawScreen(courseAt(9_000), { columns: 120, rows: 40 }, false).join('\n');
    expect(text).toContain('▸converge 0.9 s');
    expect(text).toContain('orders-1 3f9c2a ✓');
    expect(text).toContain('orders-2 1b77e0 …');
    expect(text).toContain('4 sessions on orders_a: orders-2 ×2, orders-3 ×2');
    expect(text).toContain('… 8.0 s of the shortest safe time left');
    expect(text).toContain('… 1 of 3 instances have adopted it');
  });

  test('at the end it says that the old role is refused', () => {
    const text = drawScreen(courseAt(30_000), { columns: 80, rows: 40 }, false).join('\n');
    expect(text).toContain('orders_a is refused');
  });

  test('colours change nothing but colours', () => {
    const course = courseAt(12_000);
    const coloured = drawScreen(course, { columns: 80, rows: 40 }, true).join('\n');
    expect(coloured).toContain('\u001B[32m▅');
    expect(coloured).toContain('\u001B[31;1m✗');
    expect(stripVTControlCharacters(coloured)).toBe(
      drawScreen(course, { columns: 80, rows: 40 }, false).join('\n'),
    );
  });

  test('it hides the cursor once, redraws in place and gives the cursor back', () => {
    const written: string[] = [];
    const write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    const screen = liveScreen({ write, columns: 80, rows: 40 }, false);
    screen.draw(courseAt(9_000));
    screen.draw(courseAt(9_100));
    screen.close();
    screen.close();
    const height = drawScreen(courseAt(9_000), { columns: 79, rows: 40 }, false).length;
    expect(written).toHaveLength(3);
    expect(written[0]?.startsWith('\u001B[?25l')).toBe(true);
    expect(written[1]?.startsWith(`\u001B[${height}A`)).toBe(true);
    expect(written[2]).toBe('\u001B[?25h');
  });

  test('a control character in a name never reaches the terminal', () => {
    const course = { ...courseAt(9_000), doing: 'evil \u001B[2J' };
    expect(drawScreen(course, { columns: 80, rows: 40 }, false).join('\n')).not.toContain('\u001B');
  });
});

describe('plain lines', () => {
  test('they have no control codes', () => {
    expect(told().replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  test('each change is told once', () => {
    for (const [name] of lengths) expect(count(`rotation: ${name}\n`)).toBe(1);
    expect(count('has adopted version 3f9c2a')).toBe(3);
    expect(told()).toMatch(/orders_a is still used by orders-2, orders-3\n/);
    expect(count('nobody uses')).toBe(1);
    expect(count('environment variable: a request failed')).toBe(1);
    expect(count('environment variable: recovered')).toBe(0);
    expect(count('cache, no overlap: a request failed')).toBe(1);
    expect(count('cache, no overlap: recovered')).toBe(1);
    expect(count('keyturn: a request failed')).toBe(0);
  });

  test('every five seconds there are totals', () => {
    expect(told().match(/keyturn: \d+ served, 0 failed/g)).toHaveLength(6);
  });
});

describe('the table', () => {
  const rows = [
    { name: 'environment variable', instances: 3, requests: 720, failed: 527, outageMs: 21_960.4 },
    { name: 'keyturn', instances: 3, requests: 720, failed: 0, outageMs: 0 },
  ];

  test('its columns line up', () => {
    const lines = resultTable(rows, false).split('\n');
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines.at(-2)).toMatch(/^environment variable +3 +720 +527 +21960 ms$/);
  });

  test('it has colours only if asked', () => {
    expect(resultTable(rows, false)).not.toContain('\u001B');
    expect(resultTable(rows, true)).toContain('\u001B[31;1m');
  });
});

describe('the report', () => {
  const html = renderReport(courseAt(30_000), about);
  /** The scale, read from the axis as a reader would. */
  const xOf = (ms: number) => {
    const ticks = elements(html, 'tick');
    const [first, last] = [ticks[0], ticks.at(-1)];
    const perSecond = (Number(last?.x) - Number(first?.x)) / Number.parseFloat(last?.text ?? '');
    return Number(first?.x) + (ms / 1000) * perSecond;
  };

  test('the headline says the result in plain words', () => {
    expect(html).toMatch(/<h1>0 of 720 requests failed with keyturn; \d+ and \d+ with the usual ways<\/h1>/);
  });

  test('the overlap band reaches from the publishing to the revocation', () => {
    const [band, ...others] = elements(html, 'overlap').filter(({ y }) => Number(y) > 10);
    expect(others).toEqual([]);
    expect(Number(band?.x)).toBeCloseTo(xOf(8_120), 1);
    expect(Number(band?.width)).toBeCloseTo(xOf(17_272) - xOf(8_120), 1);
    expect(html).toContain('>overlap window 9.2 s<');
  });

  test('a marker stands where all three were rotated', () => {
    expect(Number(elements(html, 'rotated')[0]?.x1)).toBeCloseTo(xOf(rotatedAtMs), 1);
  });

  test.for([17_300, 20_000, 30_000, 60_000])('no two phase labels overlap after %i ms', (nowMs) => {
    const course = { ...courseAt(30_000), nowMs };
    const markup = renderReport(course, about);
    for (const kind of ['phase-name', 'phase-length']) {
      const labels = elements(markup, kind);
      expect(labels).toHaveLength(lengths.length);
      for (const [index, label] of labels.entries()) {
        const half = (label.text.length * 6.6) / 2;
        const next = labels[index + 1];
        if (next === undefined) continue;
        expect(Number(label.x) + half).toBeLessThan(Number(next.x) - (next.text.length * 6.6) / 2);
      }
    }
  });

  test('labels that all want the same place part and stay in their row', () => {
    const wishes = [0, 1, 2, 3].map(() => ({ centre: 95, width: 20 }));
    expect(spread(wishes, { from: 0, to: 100 })).toEqual([30, 50, 70, 90]);
    expect(
      spread(
        [
          { centre: 10, width: 10 },
          { centre: 50, width: 10 },
        ],
        { from: 0, to: 100 },
      ),
    ).toEqual([10, 50]);
  });

  test('everything that comes from outside is escaped', () => {
    const nasty = `<script>alert("1")</script>&'`;
    const course = courseAt(30_000);
    const markup = renderReport(
      {
        ...course,
        contenders: course.contenders.map((contender) => ({ ...contender, instances: [nasty] })),
        rotation: {
          ...course.rotation,
          id: nasty,
          adoptions: [{ instance: nasty, version: nasty, atMs: 9_000 }],
          phases: [{ name: nasty as Phase, startMs: 8_000, endMs: 9_000 }],
          ...(course.rotation.standing ? { standing: { ...course.rotation.standing, leaving: nasty } } : {}),
        },
      },
      { ...about, title: nasty, proof: nasty },
    );
    expect(markup).not.toContain('<script');
    expect(markup).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;');
  });

  test('it needs nothing from outside and can be read by a screen reader', () => {
    expect(html).not.toMatch(/<script|<link|@import|src=|href=|url\(["']?http/);
    expect(html).toMatch(/<svg[^>]* role="img" aria-labelledby="chart-title chart-desc"/);
    expect(html).toMatch(/<desc id="chart-desc">[^<]*keyturn: 0 of 720 requests failed/);
    expect(html.match(/<tr><th scope="row">/g)).toHaveLength(3);
  });

  test('a refusal that nobody saw is not claimed', () => {
    expect(html).toContain('The old role, orders_a, is refused.');
    const course = courseAt(12_000);
    expect(renderReport(course, about)).toContain('was not seen to be refused');
  });

  test('a demo that was stopped before it began still gives a report', () => {
    expect(renderReport({ ...courseAt(0), contenders: [] }, about)).toContain('</html>');
    expect(renderReport(courseAt(0), about)).not.toMatch(/NaN|Infinity|undefined/);
  });
});
