import { isConfidential } from './api-address.ts';
import { CliError } from './cli-error.ts';

/** Gets a token for a scope, as whoever runs the command. */
export type SignIn = (scope: string) => Promise<string>;

/** Whatever this machine can sign in with: the environment, a managed identity, the Azure CLI, … */
export function azureSignIn(): SignIn {
  let credential: Promise<{ getToken(scope: string): Promise<{ token: string } | null> }> | undefined;
  return async (scope) => {
    credential ??= import('@azure/identity').then(
      ({ DefaultAzureCredential }) => new DefaultAzureCredential(),
    );
    const found = await (await credential).getToken(scope).catch((cause: unknown) => {
      throw noToken(scope, cause);
    });
    if (!found) throw noToken(scope, undefined);
    return found.token;
  };
}

/** The scope that a rotator names when it asks for a token; undefined if it asks for none. */
export function askedScope(response: Response): string | undefined {
  if (response.status !== 401) return undefined;
  return /\bscope="([^"\s]+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
}

/**
 * Whoever answers names the scope, and gets the token: one that answers in a rotator's place must not be given a
 * token for a vault. So only applications of one's own (`api://…`) are believed; another is for the caller to name.
 */
export function checkScope({ asked, url }: { asked: string; url: URL }): void {
  if (!/^api:\/\/[\w.~:/-]+$/i.test(asked)) {
    throw new CliError('SIGN_IN', `The rotator at ${url.origin} asks for a token for ${asked}.`, {
      hint: `If that is the rotator's own application, say so: --scope ${asked}`,
    });
  }
}

export function checkConfidential(url: URL): void {
  if (isConfidential(url)) return;
  throw new CliError(
    'SIGN_IN',
    `The rotator at ${url.origin} asks for a token, which could be read on the way.`,
    {
      hint: 'Reach it by https, or on the machine itself.',
    },
  );
}

function noToken(scope: string, cause: unknown): CliError {
  return new CliError('SIGN_IN', `No token for ${scope} is to be had here.`, {
    cause,
    hint: 'Sign in, for example with `az login`.',
  });
}
