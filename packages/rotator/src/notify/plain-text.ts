/**
 * Names come from configurations, instances and databases: what has no shape of its own (control characters,
 * direction marks, line separators) becomes `?`, and nobody's name is longer than this.
 */
export function plainText(text: string, longest = 200): string {
  const clean = text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  return clean.length <= longest ? clean : `${clean.slice(0, longest - 1).toWellFormed()}…`;
}
