import { createHash, randomBytes, randomInt, randomUUID, timingSafeEqual } from 'node:crypto';
import type { ChangeLog } from '../change-log.ts';
import { derivedId } from '../identity/directory.ts';
import type { ApplicationSettings } from '../options.ts';

/** A password of an application, without its text: nobody can get at that a second time. Times are ISO 8601. */
export interface PasswordCredential {
  readonly keyId: string;
  readonly displayName: string | null;
  /** The first three characters of the text. */
  readonly hint: string;
  readonly startDateTime: string;
  readonly endDateTime: string;
}

/** An app registration. */
export interface Application {
  /** The object id. */
  readonly id: string;
  /** The client id. */
  readonly appId: string;
  readonly displayName: string;
  /** The object id of whom its tokens speak for. */
  readonly servicePrincipalId: string;
}

export interface Applications {
  all(): readonly Application[];
  find(matches: (application: Application) => boolean): Application | undefined;
  /** In the order they were added, expired ones too. */
  passwordsOf(id: string): readonly PasswordCredential[];
  /** The only time that the text is told. It works at once. */
  addPassword(
    id: string,
    properties: PasswordProperties,
  ): PasswordCredential & { readonly secretText: string };
  /** It is refused at once. False when there is no such password (any more). */
  removePassword(id: string, keyId: string): boolean;
  /** What Entra makes of a client that presents this text, by the emulator's clock. */
  checkSecret(appId: string, secretText: string): 'live' | 'expired' | 'wrong';
}

export interface PasswordProperties {
  readonly displayName: string | null;
  readonly startDateTime: string;
  readonly endDateTime: string;
}

interface Stored {
  readonly credential: PasswordCredential;
  readonly salt: string;
  /** The text is random and long, so that one round of SHA-256 is enough. */
  readonly hash: string;
}

type Change =
  | { readonly kind: 'added'; readonly id: string; readonly stored: Stored }
  | { readonly kind: 'removed'; readonly id: string; readonly keyId: string };

export function openApplications(options: {
  readonly log: ChangeLog;
  readonly settings: readonly ApplicationSettings[];
  /** The emulator's clock. */
  readonly now: () => Date;
}): Applications {
  const applications = options.settings.map(applicationOf);
  // By object id. Those of an application that is not configured this time wait for the next time.
  const passwords = new Map<string, readonly Stored[]>();
  const of = (id: string): readonly Stored[] => passwords.get(id) ?? [];

  const changes = options.log.open<Change>('applications', {
    apply(change) {
      const { id } = change;
      if (change.kind === 'added') passwords.set(id, [...of(id), change.stored]);
      else
        passwords.set(
          id,
          of(id).filter(({ credential }) => credential.keyId !== change.keyId),
        );
    },
    *snapshot() {
      for (const [id, stored] of passwords)
        for (const one of stored) yield { kind: 'added', id, stored: one };
    },
  });

  return {
    all: () => applications,
    find: (matches) => applications.find(matches),
    passwordsOf: (id) => of(id).map(({ credential }) => credential),

    addPassword(id, properties) {
      const secretText = newSecretText();
      const credential = { keyId: randomUUID(), hint: secretText.slice(0, 3), ...properties };
      const salt = randomBytes(16).toString('base64');
      changes.append({ kind: 'added', id, stored: { credential, salt, hash: digest(salt, secretText) } });
      return { ...credential, secretText };
    },

    removePassword(id, keyId) {
      if (!of(id).some(({ credential }) => credential.keyId === keyId)) return false;
      changes.append({ kind: 'removed', id, keyId });
      return true;
    },

    checkSecret(appId, secretText) {
      const application = applications.find((one) => one.appId === appId);
      const known = of(application?.id ?? '').find(({ salt, hash }) =>
        timingSafeEqual(Buffer.from(digest(salt, secretText)), Buffer.from(hash)),
      )?.credential;
      const now = options.now().getTime();
      if (known === undefined || now < Date.parse(known.startDateTime)) return 'wrong';
      return now < Date.parse(known.endDateTime) ? 'live' : 'expired';
    },
  };
}

function applicationOf({ name, clientId, objectId }: ApplicationSettings): Application {
  return {
    id: (objectId ?? derivedId(`application object ${name}`)).toLowerCase(),
    appId: (clientId ?? derivedId(`application client ${name}`)).toLowerCase(),
    displayName: name,
    servicePrincipalId: derivedId(`service principal ${name}`),
  };
}

const digest = (salt: string, secretText: string): string =>
  createHash('sha256').update(salt).update(secretText).digest('base64');

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~.-';

/** 40 characters with Entra's mark in the fourth to sixth place, so that scanners for leaked secrets know it. */
function newSecretText(): string {
  const draw = (count: number): string =>
    Array.from({ length: count }, () => letters[randomInt(letters.length)]).join('');
  return `${draw(3)}8Q~${draw(34)}`;
}
