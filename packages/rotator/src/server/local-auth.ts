import { roles, type Asking, type Auth } from './api-auth.ts';

/** The header in which `keyturn` says who runs it, percent-encoded. */
export const localUserHeader = 'x-keyturn-user';

/**
 * Without an issuer of tokens, whoever is on this machine may do everything, and is recorded under the name they
 * give, as `local:NAME`. `instancesFrom: 'network'` lets instances report from everywhere: the network is trusted.
 */
export function localAuth({
  instancesFrom = 'loopback',
}: { readonly instancesFrom?: 'loopback' | 'network' } = {}): Auth {
  return {
    signIn: false,
    async identify(asking) {
      const fromInstance = asking.role === 'application' && instancesFrom === 'network';
      const stranger = fromInstance ? undefined : whyNotLocal(asking);
      if (stranger !== undefined) {
        return {
          code: 'NOT_LOCAL',
          detail: `Without an issuer of tokens only this machine may ask, and ${stranger}.`,
          hint: 'Ask at http://127.0.0.1:PORT on the machine itself, or configure the issuer of tokens.',
        };
      }
      return {
        who: `local:${localName(asking)}`,
        roles: new Set(fromInstance ? (['application'] as const) : roles),
      };
    },
  };
}

/**
 * The connection has to come from here, and the name asked for has to be this machine's: a page in a browser here
 * can make its own name point to 127.0.0.1, but it can't change the Host header. A proxy hides who is behind it.
 */
function whyNotLocal({ header, peer }: Asking): string | undefined {
  if (peer === undefined || !isLoopback(peer)) return 'this request comes from another one';
  const host = header('host') ?? '';
  if (!isLoopback(host.replace(/:\d+$/, ''))) return 'this request asks for another name';
  if (header('forwarded') ?? header('x-forwarded-for')) return 'this request came through a proxy';
  return undefined;
}

function isLoopback(host: string): boolean {
  const bare = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:/, '');
  return bare === 'localhost' || bare === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare);
}

function localName({ header }: Asking): string {
  const sent = header(localUserHeader) ?? '';
  let name: string;
  try {
    name = decodeURIComponent(sent);
  } catch {
    name = sent;
  }
  return (
    name
      .replaceAll(/\p{Cc}/gu, '')
      .trim()
      .slice(0, 64) || 'unknown'
  );
}
