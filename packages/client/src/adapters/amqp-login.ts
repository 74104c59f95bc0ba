import type { Options } from 'amqplib';
import type { Secret } from '../secret.ts';
import { SecretsError } from '../secrets-error.ts';
import { fields, given, integer, unescaped } from './login-fields.ts';

/**
 * Reads the login out of a value: a URL (`amqp://user:password@host:5672/vhost`, `amqps://` with TLS) or JSON with
 * `username` (or `user`), `password` and, where the options do not say them, `host`, `port`, `vhost`.
 */
export function amqpLogin(secret: Secret): Options.Connect {
  const text = secret.reveal().trim();
  const login = /^amqps?:\/\//.test(text) ? ofUrl(text) : ofJson(text);
  if (login.username === undefined || login.password === undefined) {
    throw new SecretsError(
      'VALUE_FORMAT',
      `The value of ${secret.toString()} is no AMQP login. Store amqp://user:password@host:5672/vhost, or JSON with host, username and password.`,
    );
  }
  return Object.fromEntries(Object.entries(login).filter(([, part]) => part !== undefined));
}

interface Found {
  readonly protocol?: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly hostname: string | undefined;
  readonly port: number | undefined;
  readonly vhost: string | undefined;
}

function ofUrl(text: string): Found {
  const nothing = {
    username: undefined,
    password: undefined,
    hostname: undefined,
    port: undefined,
    vhost: undefined,
  };
  if (!URL.canParse(text)) return nothing;
  const { protocol, username, password, hostname, port, pathname } = new URL(text);
  return {
    protocol: protocol.slice(0, -1),
    username: given(unescaped(username)),
    password: given(unescaped(password)),
    hostname: given(hostname.replace(/^\[|\]$/g, '')),
    port: port === '' ? undefined : Number(port),
    vhost: given(unescaped(pathname.slice(1))),
  };
}

function ofJson(text: string): Found {
  const { username, user, password, host, port, vhost } = fields(text);
  return {
    username: given(username) ?? given(user),
    password: given(password),
    hostname: given(host),
    port: integer(port),
    vhost: given(vhost),
  };
}
