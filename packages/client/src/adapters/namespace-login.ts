import type { Secret } from '../secret.ts';
import { SecretsError } from '../secrets-error.ts';

/** What it takes to log in at a namespace of Service Bus or Event Hubs. */
export interface NamespaceLogin {
  /** As the SDKs take it. */
  readonly connectionString: string;
  readonly keyName: string;
  readonly key: string;
  /** The queue, topic or event hub that it is confined to. */
  readonly entityPath?: string | undefined;
}

/**
 * Reads the login out of a value: a connection string
 * (`Endpoint=sb://orders.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…[;EntityPath=…]`), or JSON
 * with `endpoint` (or `fullyQualifiedNamespace`), `sharedAccessKeyName`, `sharedAccessKey` and, if there is one,
 * `entityPath`. A connection string with a ready-made signature is none: it holds no key.
 */
export function namespaceLogin(secret: Secret): NamespaceLogin {
  const text = secret.reveal().trim();
  const parts = text.startsWith('{') ? jsonFields(text) : fields(text);
  const keyName = parts.get('sharedaccesskeyname');
  const key = parts.get('sharedaccesskey');
  const endpoint = endpointOf(parts);
  if (keyName === undefined || key === undefined || endpoint === undefined) throw formatError(secret);
  const all = { Endpoint: endpoint, SharedAccessKeyName: keyName, SharedAccessKey: key };
  const entityPath = parts.get('entitypath');
  const optional = {
    EntityPath: entityPath,
    UseDevelopmentEmulator: parts.get('usedevelopmentemulator'),
  };
  const connectionString = Object.entries({ ...all, ...optional })
    .flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`))
    .join(';');
  return { connectionString, keyName, key, entityPath };
}

function endpointOf(parts: ReadonlyMap<string, string>): string | undefined {
  const given = parts.get('endpoint') ?? parts.get('fullyqualifiednamespace');
  const [, host] = /^(?:\w+:\/\/)?([\w.-]+(?::\d+)?)\/?$/.exec(given ?? '') ?? [];
  return host && `sb://${host}/`;
}

function fields(text: string): Map<string, string> {
  return presentFields(
    text.split(';').map((pair) => {
      const at = pair.indexOf('='); // the first one: keys end with some
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function jsonFields(text: string): Map<string, string> {
  try {
    return presentFields(Object.entries(JSON.parse(text) as Record<string, unknown>));
  } catch {
    return new Map(); // the parser's own message would quote the value
  }
}

function presentFields(pairs: readonly (readonly unknown[])[]): Map<string, string> {
  const texts = pairs.map(([name, value]) => [
    String(name).trim().toLowerCase(),
    typeof value === 'string' ? value.trim() : '',
  ]);
  return new Map(texts.filter(([, value]) => value !== '') as [string, string][]);
}

function formatError(secret: Secret): SecretsError {
  return new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} is no login to a namespace. Store Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…, or JSON with endpoint, sharedAccessKeyName and sharedAccessKey.`,
  );
}
