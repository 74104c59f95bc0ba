import { secret } from './scenario.ts';

/** Says what happened; the words are made only where somebody reads them. */
export type Tell = (what: () => string) => void;

export interface Story {
  readonly tell: Tell;
  readonly lines: readonly string[];
}

/** The story of a run in plain words, one line for each thing that happened, with the time since the beginning. */
export function openStory(at: { readonly told: boolean; readonly now: () => number }): Story {
  const lines: string[] = [];
  const start = at.now();
  return {
    lines,
    tell: at.told ? (what) => void lines.push(`${time(at.now() - start)}  ${what()}`) : () => undefined,
  };
}

/** `4:05.250` */
function time(ms: number): string {
  const seconds = ((ms % 60_000) / 1_000).toFixed(3).padStart(6, '0');
  return `${Math.floor(ms / 60_000)}:${seconds}`.padStart(10);
}

/** A rotation's id without the secret's name, which all of them share. */
export function short(id: string): string {
  return id.replace(`${secret}@`, 'of ');
}
