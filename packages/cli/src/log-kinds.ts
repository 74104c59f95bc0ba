/** How a log is written; `auto` writes sentences on a terminal and JSON lines elsewhere. */
export const logKinds = ['auto', 'json', 'text'] as const;
export type LogKind = (typeof logKinds)[number];
