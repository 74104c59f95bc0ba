import type { ContenderName, Course } from './course.ts';
import { courseChart } from './report-chart.ts';
import { reportStyle } from './report-style.ts';
import { escapeHtml, inSeconds } from './svg.ts';
import { outageMs, totals } from './timeline.ts';

/** What the course itself doesn't know. */
export interface About {
  readonly title: string;
  readonly startedAt: Date;
  /** What the source said when the old credential was tried. */
  readonly proof: string;
}

const ways: Readonly<Record<ContenderName, string>> = {
  'environment variable':
    'Each process reads the password once, when it starts, and the rotation alters it in place. From then on new logins are refused until somebody restarts the processes, which this demo does not do.',
  'cache, no overlap':
    'Each process reads the password from the vault and keeps it for a fixed time, and the rotation alters it in place. A process is refused until its copy has run out: a shorter time makes the outage shorter, and does not end it.',
  keyturn:
    'The new password belongs to a second role, and the first role keeps working until every process has adopted the new version, the database sees no session of the old role and the shortest safe time has passed. The price is a second role for each application, and an overlap window in which two passwords are valid.',
};

/** The whole report as one HTML file that needs nothing else, not even a script. */
export function renderReport(course: Course, about: About): string {
  const result = headline(course);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(result)} · ${escapeHtml(about.title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<main>
<p class="about">${escapeHtml(about.title)} · <time datetime="${about.startedAt.toISOString()}">${about.startedAt.toISOString().slice(0, 19).replace('T', ' ')} UTC</time>${rotationName(course)}</p>
<h1>${escapeHtml(result)}</h1>
<figure>
<div class="scroll" tabindex="0" role="region" aria-label="Time lines">
${courseChart(course)}
</div>
${caption()}
</figure>
<h2>The numbers</h2>
${numbers(course)}
<h2>The old credential</h2>
${proof(course, about.proof)}
<h2>What each of them does</h2>
<div class="ways">
${course.contenders.map(({ name }) => `<div><h3>${escapeHtml(name)}</h3><p>${escapeHtml(ways[name])}</p></div>`).join('\n')}
</div>
</main>
</body>
</html>
`;
}

function headline({ contenders }: Course): string {
  const keyturn = totals(contenders.find(({ name }) => name === 'keyturn')?.samples ?? []);
  const usual = contenders
    .filter(({ name }) => name !== 'keyturn')
    .map(({ samples }) => `${totals(samples).failed}`);
  return `${keyturn.failed} of ${keyturn.requests} requests failed with keyturn; ${usual.join(' and ')} with the usual ways`;
}

function rotationName({ rotation }: Course): string {
  return rotation.id === undefined ? '' : ` · rotation ${escapeHtml(rotation.id)}`;
}

function caption(): string {
  return `<figcaption>
<ul class="keys">
${key('<rect class="served" x="1" y="1" width="12" height="12"/>', 'served, above the line')}
${key('<rect class="failed" x="1" y="1" width="12" height="12"/>', 'failed, below the line')}
${key('<rect class="overlap" x="1" y="1" width="12" height="12"/>', 'overlap window: both credentials work')}
${key('<rect class="old-version" y="4" width="7" height="6"/><rect class="new-version" x="7" y="4" width="7" height="6"/>', 'old version, then the new one')}
</ul>
<p>All three serve the same load at the same time, on one time axis. A bar is as high as the number of requests that ended that way.</p>
</figcaption>`;
}

function key(shape: string, text: string): string {
  return `<li><svg viewBox="0 0 14 14" aria-hidden="true">${shape}</svg>${text}</li>`;
}

function numbers({ contenders, nowMs }: Course): string {
  const rows = contenders.map(({ name, instances, samples }) => {
    const { requests, failed } = totals(samples);
    const outage = Math.round(outageMs(samples, nowMs));
    const tone = failed > 0 ? ' class="bad"' : '';
    return `<tr><th scope="row">${escapeHtml(name)}</th><td>${instances.length}</td><td>${requests}</td><td${tone}>${failed}</td><td${tone}>${outage}</td></tr>`;
  });
  return `<div class="scroll"><table>
<thead><tr><th scope="col">contender</th><th scope="col">instances</th><th scope="col">requests</th><th scope="col">failed</th><th scope="col">outage, ms</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>
<p class="note">Outage: the time in which at least one instance was failing, from a failed request to its next success or the end.</p>`;
}

/** Only what was seen is claimed: a refusal that nobody saw is reported as not seen. */
function proof({ rotation }: Course, seen: string): string {
  const { oldCredentialRefused, standing, publishedMs, convergedMs, revokedMs } = rotation;
  const role = standing === undefined ? 'The old credential' : `The old role, ${standing.leaving},`;
  const verdict = oldCredentialRefused
    ? `${role} is refused.`
    : `${role} was not seen to be refused: this demo has not shown that it is gone.`;
  const story = [
    publishedMs !== undefined && convergedMs !== undefined
      ? `The rotation converged ${inSeconds(convergedMs - publishedMs)} after the new version was published.`
      : '',
    publishedMs !== undefined && revokedMs !== undefined
      ? `Both credentials worked for ${inSeconds(revokedMs - publishedMs)}; then the old one was revoked.`
      : '',
  ];
  return `<p>${escapeHtml([verdict, ...story].filter(Boolean).join(' '))}</p>
<pre>${escapeHtml(seen)}</pre>`;
}
