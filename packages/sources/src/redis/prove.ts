import type { SecretValue } from '@keyturn/source';
import { withConnection } from './connection.ts';
import { proveName } from './connections.ts';
import { isNoPermission, toSourceError } from './errors.ts';
import { readValue } from './login.ts';
import type { RedisOptions } from './options.ts';

/** Logs in afresh with a value, as the application would, and asks for an answer. */
export async function prove(options: RedisOptions, value: SecretValue): Promise<void> {
  const login = readValue(options, value);
  const { password } = login;
  const secrets = [value.reveal(), password, encodeURIComponent(password)];
  try {
    await withConnection({ login, name: proveName, options }, (send) =>
      send(['PING']).catch(unlessNoPermission),
    );
  } catch (error) {
    throw toSourceError(error, { loginOf: 'application', secrets });
  }
}

/** Whoever is told that it may not do this has logged in, and every password of the user has the same rights. */
function unlessNoPermission(error: unknown): void {
  if (!isNoPermission(error)) throw error;
}
