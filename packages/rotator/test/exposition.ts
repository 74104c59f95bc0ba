export interface Family {
  readonly type: string;
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const sampleLine = new RegExp(`^(${name})(?:\\{(${label}(?:,${label})*)\\})? (\\S+)$`);
const suffixes: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
};

/**
 * Reads Prometheus' text format 0.0.4 and refuses what its specification or its naming conventions don't allow: a
 * sample without HELP and TYPE before it, a family in two places, the same series twice, a counter without `_total`
 * or anything else with it, buckets that shrink or lack `+Inf`, a last line that does not end.
 */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family & { samples: Family['samples'][number][] }>();
  const seen = new Set<string>();
  let current: string | undefined;
  let helped: string | undefined;
  if (!text.endsWith('\n')) throw new Error('The last line does not end.');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, about = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') helped = about;
    else if (kind === 'TYPE') {
      if (families.has(about)) throw new Error(`${about} stands in two places.`);
      if (helped !== about) throw new Error(`${about} has no HELP.`);
      if ((rest === 'counter') !== about.endsWith('_total'))
        throw new Error(`${about} is a ${rest} by a wrong name.`);
      families.set(about, { type: rest, samples: [] });
      current = about;
    } else {
      const [, series = '', labels = '', figure = ''] = sampleLine.exec(line) ?? [];
      const family = families.get(current ?? '');
      const allowed = (suffixes[family?.type ?? ''] ?? ['']).map((suffix) => `${current}${suffix}`);
      if (!family || !allowed.includes(series)) throw new Error(`No sample of ${current}: ${line}`);
      if (seen.has(`${series}{${labels}}`)) throw new Error(`Twice: ${line}`);
      seen.add(`${series}{${labels}}`);
      const value = figure === '+Inf' ? Infinity : Number(figure);
      if (figure === '' || Number.isNaN(value)) throw new Error(`No figure: ${line}`);
      family.samples.push({ name: series, labels: labelsOf(labels), value });
    }
  }
  for (const [about, family] of families) if (family.type === 'histogram') checkBuckets(about, family);
  return families;
}

function labelsOf(text: string): Record<string, string> {
  const found = text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g);
  return Object.fromEntries(
    [...found].map(([, key, value = '']) => [
      key,
      value.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one)),
    ]),
  );
}

function checkBuckets(about: string, { samples }: Family): void {
  const series = Map.groupBy(samples, ({ labels }) => JSON.stringify({ ...labels, le: undefined }));
  for (const some of series.values()) {
    const buckets = some.filter(({ name: one }) => one === `${about}_bucket`);
    const counts = buckets.map(({ value }) => value);
    if (counts.some((count, index) => count < (counts[index - 1] ?? 0)))
      throw new Error(`The buckets of ${about} shrink.`);
    const all = some.find(({ name: one }) => one === `${about}_count`)?.value;
    if (buckets.at(-1)?.labels['le'] !== '+Inf' || counts.at(-1) !== all)
      throw new Error(`${about} lacks the bucket of all.`);
  }
}
