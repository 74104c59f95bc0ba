import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { RotatorError } from '../rotator-error.ts';

/** What tokens for Azure Database for PostgreSQL are made out to, https://learn.microsoft.com/azure/postgresql/security/security-entra-concepts */
const scope = 'https://ossrdbms-aad.database.windows.net/.default';

/**
 * A password that nobody keeps: an Entra token of whoever this process is. It is asked for at each login; the
 * credential gives the same one out until it nears its end.
 */
export function entraPassword(
  credential: TokenCredential = new DefaultAzureCredential(),
): () => Promise<string> {
  return async () => {
    try {
      const got = await credential.getToken(scope);
      if (got) return got.token;
    } catch (cause) {
      throw noToken(cause instanceof Error ? cause.constructor.name : 'no answer');
    }
    throw noToken('an empty answer');
  };
}

function noToken(why: string): RotatorError {
  return new RotatorError('JOURNAL', `No token for the journal's database is to be had (${why}).`, {
    // The engine waits for a database that refuses connections, and gives up where anything else goes wrong.
    cause: Object.assign(new Error('There is no token to connect with.'), { code: 'ECONNREFUSED' }),
    hint: 'See that this machine has a managed identity, or is signed in, and that the server knows it as a role.',
  });
}
