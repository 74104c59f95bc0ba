/**
 * True if a source said no to a credential: PostgreSQL 28P01 and 28000, HTTP 401, Redis WRONGPASS and NOAUTH.
 * Anything else, a broken connection above all, means "don't know". The default of `secrets.use`.
 *
 * @example
 * await secrets.use('smtp', send, { refused: (error) => isRefusal(error) || error.responseCode === 535 });
 */
export function isRefusal(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, status, statusCode, response, message } = error as {
    code?: unknown;
    status?: unknown;
    statusCode?: unknown;
    response?: { status?: unknown; statusCode?: unknown };
    message?: unknown;
  };
  return (
    code === '28P01' ||
    code === '28000' ||
    [status, statusCode, response?.status, response?.statusCode].includes(401) ||
    (typeof message === 'string' && /^(WRONGPASS|NOAUTH)\b/.test(message))
  );
}
