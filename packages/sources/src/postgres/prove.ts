import { SourceError, type SecretValue } from '@keyturn/source';
import { timeLimits, withConnection } from './connection.ts';
import { toSourceError } from './errors.ts';
import type { PostgresOptions } from './options.ts';
import { proveName } from './sessions.ts';
import { readValue } from './value.ts';

/** Logs in afresh with a value, as the application would, and does what the application must be able to do. */
export async function prove(options: PostgresOptions, value: SecretValue): Promise<void> {
  const { probe = 'select current_user' } = options;
  const url = readValue(value);
  const password = decodeURIComponent(url.password);
  const secrets = [value.reveal(), url.password, password];
  url.searchParams.set('application_name', proveName);
  let asked = false;
  const ask = () => {
    asked = true;
    return password;
  };
  try {
    const login = { connectionString: url.href, password: ask };
    await withConnection(login, timeLimits(options), (connection) => connection.query(probe));
  } catch (error) {
    throw toSourceError(error, { loginOf: 'application', secrets });
  }
  if (!asked) throw neverAsked();
}

/** Where every password is as good as the right one, a rotation would end nothing. */
function neverAsked(): SourceError {
  return new SourceError(
    'MISCONFIGURED',
    'PostgreSQL let the credential in without asking for its password.',
    {
      hint: 'In pg_hba.conf, change the method of the line that matches these roles to scram-sha-256.',
    },
  );
}
