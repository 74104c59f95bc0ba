/** The plot: time runs from `left` to `right`, in units of the SVG's view box. */
export const plot = { width: 1040, left: 200, right: 1024 } as const;

/** Where a time of the course lies on the one axis that everything in the chart shares. */
export type X = (ms: number) => number;

/** A piece of the chart and how much height it takes. */
export interface Part {
  readonly svg: string;
  readonly height: number;
}

/** Text for HTML and for attributes in double or single quotes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

export function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
