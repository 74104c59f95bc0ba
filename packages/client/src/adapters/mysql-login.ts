import type { PoolOptions } from 'mysql2/promise';
import { loginFields, type LoginFields } from './login-fields.ts';
import type { Secret } from '../secret.ts';
import { SecretsError } from '../secrets-error.ts';

/**
 * Reads the login out of a value: a URL (`mysql://user:password@host:3306/database`) or JSON with `user` or
 * `username`, `password` and, where the pool's configuration does not say them, `host`, `port`, `database` (or
 * `dbname`). Options behind the `?` of a URL count as with mysql2 itself; the pool's own configuration goes before them.
 */
export function mysqlLogin(secret: Secret): PoolOptions {
  const login = loginFields(secret, /^(mysql|mariadb):\/\//);
  if (!login) {
    throw new SecretsError(
      'VALUE_FORMAT',
      `The value of ${secret.toString()} is no MySQL login. Store mysql://user:password@host:3306/database, or JSON with host, port, database, username and password.`,
    );
  }
  const text = secret.reveal().trim();
  // mysql2 itself reads what stands behind the `?`: `ssl` above all.
  return { ...defined(login), ...(text.startsWith('{') ? {} : { uri: text }) };
}

function defined({ user, password, host, port, database }: LoginFields): PoolOptions {
  const place = { host, port, database };
  return {
    user,
    password,
    ...Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined)),
  };
}
