/** The report's looks: light and dark by the reader's preference, light in print. Blue and red, never green and red. */
export const reportStyle = `
:root { color-scheme: light dark; --ground: #f5f6f8; --surface: #fff; --ink: #16191d; --muted: #59626d; --line: #d9dee4;
  --served: #2f6fb5; --failed: #c8331b; --failed-line: #a12611; --band: #fbe7b2; --band-edge: #b98500; --band-ink: #6d4c00;
  --old: #b4bcc6; --phase-even: #59626d; --phase-odd: #8a949f; --track: #e9edf1; }
@media screen and (prefers-color-scheme: dark) { :root { --ground: #0f1215; --surface: #171b20; --ink: #e9ecef;
  --muted: #9ba6b2; --line: #2c333b; --served: #69a9ee; --failed: #ff7a5f; --failed-line: #cf4a30; --band: #42371a;
  --band-edge: #d9a62e; --band-ink: #f2cf7c; --old: #56606b; --phase-even: #9ba6b2; --phase-odd: #6d7884; --track: #242a31; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 48px 24px 64px; }
.about { margin: 0 0 10px; max-width: none; overflow-wrap: anywhere; color: var(--muted); font-size: 14px; }
h1 { margin: 0 0 32px; max-width: 24em; font-size: 34px; line-height: 1.2; letter-spacing: -0.015em; text-wrap: balance; }
h2 { margin: 44px 0 12px; font-size: 20px; line-height: 1.3; }
h3 { margin: 0 0 4px; font-size: 16px; }
p { margin: 0 0 12px; max-width: 72ch; }
figure { margin: 0; padding: 20px 24px; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; }
.scroll { overflow-x: auto; }
.chart { display: block; width: 100%; min-width: 760px; height: auto; font-family: inherit; }
figcaption { margin-top: 14px; padding-top: 14px; border-top: 1px solid var(--line); color: var(--muted); font-size: 14px; max-width: none; }
figcaption p { max-width: none; margin: 0; }
.keys { display: flex; flex-wrap: wrap; gap: 4px 24px; margin: 0 0 6px; padding: 0; list-style: none; }
.keys svg { width: 14px; height: 14px; margin-right: 7px; vertical-align: -2px; }
text { fill: var(--ink); font-size: 12px; font-variant-numeric: tabular-nums; }
.lane-name { font-size: 15px; font-weight: 600; }
.lane-total { font-size: 13px; fill: var(--muted); }
.some-failed { fill: var(--failed); font-weight: 600; }
.row-name, .tick, .phase-length { fill: var(--muted); }
.tick, .phase-name, .phase-length, .rotated-label { text-anchor: middle; }
.phase-name, .rotated-label { font-weight: 600; }
.served, .new-version { fill: var(--served); }
.failed { fill: url(#hatch); stroke: var(--failed); stroke-width: 0.6; }
.hatch-ground { fill: var(--failed); } .hatch-line { fill: var(--failed-line); }
.baseline { stroke: var(--muted); stroke-width: 1; }
.grid { stroke: var(--line); stroke-width: 1; }
.rotated { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; } .rotated-head { fill: var(--ink); }
.overlap { fill: var(--band); stroke: var(--band-edge); stroke-width: 1; }
.overlap-label { fill: var(--band-ink); font-weight: 600; }
.old-version { fill: var(--old); } .adoption { stroke: var(--ink); stroke-width: 2; }
.adoption-label { font-size: 11.5px; }
.track { fill: var(--track); } .phase.even { fill: var(--phase-even); } .phase.odd { fill: var(--phase-odd); }
.phase.waiting { fill: var(--band-edge); } .leader { fill: none; stroke: var(--muted); stroke-width: 1; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 9px 12px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
thead th { color: var(--muted); font-size: 14px; font-weight: 500; }
tbody th { font-weight: 600; }
.note { margin-top: 10px; color: var(--muted); font-size: 14px; max-width: none; }
.bad { color: var(--failed); font-weight: 600; }
pre { margin: 0; padding: 14px 16px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--surface);
  border: 1px solid var(--line); border-radius: 8px; font: 14px/1.5 ui-monospace, 'Cascadia Mono', Menlo, monospace; }
.ways { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 24px 32px; }
.ways p { font-size: 15px; }
@media (max-width: 600px) { main { padding: 28px 16px 40px; } h1 { font-size: 26px; } figure { padding: 14px; } th, td { padding: 8px 6px; } }
@media print { body { background: none; font-size: 12px; } main { padding: 0; max-width: none; } h1 { font-size: 24px; }
  .chart { min-width: 0; } figure, table, .ways > div { break-inside: avoid; } figure { padding: 0; border: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
`;
