import { createHash } from 'node:crypto';
import type { ChangeLog } from '../change-log.ts';
import { EmulatorError } from '../emulator-error.ts';
import type { IdentitySettings, RoleAssignment } from '../options.ts';
import { roleAllows, type Action } from './roles.ts';

/** Somebody whom tokens are issued for. */
export interface Identity {
  readonly name: string;
  readonly systemAssigned: boolean;
  readonly objectId: string;
  readonly clientId: string;
  /** As in `mi_res_id`. */
  readonly resourceId: string;
  readonly federatedSubject?: string;
}

/** Who there is, and who may do what. */
export interface Directory {
  /** Adds an identity, or replaces the one of that name and its roles. */
  add(settings: IdentitySettings): Identity;
  /** Adds what the configuration says, unless it said the same before: changes since then stay. */
  configure(settings: IdentitySettings): void;
  /** Throws `OPTIONS_INVALID` when there is none of that name. */
  get(name: string): Identity;
  find(matches: (identity: Identity) => boolean): Identity | undefined;
  all(): readonly Identity[];
  nameOf(objectId: string): string | undefined;
  assign(name: string, role: RoleAssignment): void;
  unassign(name: string, role: RoleAssignment): void;
  /** `resource` is a vault, a storage account or an application; `child` a secret of it. */
  allows(objectId: string, action: Action, resource: string, child?: string): boolean;
}

type Change =
  | { readonly kind: 'added'; readonly settings: IdentitySettings; readonly configured?: string }
  | { readonly kind: 'assigned' | 'unassigned'; readonly name: string; readonly role: RoleAssignment };

interface Entry {
  readonly settings: IdentitySettings;
  readonly identity: Identity;
  /** What the configuration said of it, JSON; absent when it never did. */
  readonly configured: string | undefined;
}

export function openDirectory(log: ChangeLog): Directory {
  const entries = new Map<string, Entry>();
  const byObjectId = new Map<string, Entry>();

  const put = (settings: IdentitySettings, newlyConfigured?: string): void => {
    const former = entries.get(settings.name);
    const configured = newlyConfigured ?? former?.configured;
    if (former !== undefined) byObjectId.delete(former.identity.objectId);
    const entry = { settings, identity: identityOf(settings), configured };
    entries.set(settings.name, entry);
    byObjectId.set(entry.identity.objectId, entry);
  };

  const changes = log.open<Change>('identities', {
    apply(change) {
      if (change.kind === 'added') return put(change.settings, change.configured);
      const settings = entries.get(change.name)?.settings;
      if (settings === undefined) return;
      const others = settings.roles.filter((role) => !same(role, change.role));
      put({ ...settings, roles: change.kind === 'assigned' ? [...others, change.role] : others });
    },
    *snapshot() {
      for (const { settings, configured } of entries.values())
        yield { kind: 'added', settings, ...(configured === undefined ? {} : { configured }) };
    },
  });

  const entryOf = (name: string): Entry => {
    const entry = entries.get(name);
    if (entry === undefined)
      throw new EmulatorError(
        'OPTIONS_INVALID',
        `There is no identity ${name}. Known: ${[...entries.keys()].join(', ')}.`,
      );
    return entry;
  };

  return {
    add(settings) {
      changes.append({ kind: 'added', settings });
      return entryOf(settings.name).identity;
    },
    configure(settings) {
      const configured = JSON.stringify(settings);
      if (entries.get(settings.name)?.configured === configured) return;
      changes.append({ kind: 'added', settings, configured });
    },
    get: (name) => entryOf(name).identity,
    find: (matches) => [...entries.values()].find(({ identity }) => matches(identity))?.identity,
    nameOf: (objectId) => byObjectId.get(objectId)?.identity.name,
    all: () => [...entries.values()].map(({ identity }) => identity),
    assign(name, role) {
      entryOf(name);
      changes.append({ kind: 'assigned', name, role });
    },
    unassign(name, role) {
      entryOf(name);
      changes.append({ kind: 'unassigned', name, role });
    },
    allows: (objectId, action, resource, child) =>
      byObjectId
        .get(objectId)
        ?.settings.roles.some(
          ({ role, scope }) =>
            (scope === undefined ||
              scope === resource ||
              (child !== undefined && scope === `${resource}/${child.toLowerCase()}`)) &&
            roleAllows(role, action),
        ) ?? false,
  };
}

const same = (one: RoleAssignment, other: RoleAssignment): boolean =>
  one.role === other.role && one.scope === other.scope;

function identityOf(settings: IdentitySettings): Identity {
  const { name, systemAssigned, federatedSubject } = settings;
  return {
    name,
    systemAssigned,
    objectId: (settings.objectId ?? derivedId(`object ${name}`)).toLowerCase(),
    clientId: (settings.clientId ?? derivedId(`client ${name}`)).toLowerCase(),
    resourceId:
      settings.resourceId ??
      `/subscriptions/${derivedId('subscription')}/resourcegroups/keyturn/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`,
    ...(federatedSubject === undefined ? {} : { federatedSubject }),
  };
}

/** A UUID that follows from a name, so that what clients remember stays true after a restart. */
export function derivedId(name: string): string {
  const digest = createHash('sha256').update(`keyturn emulator: ${name}`).digest('hex');
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`, // version 8: derived by a rule of one's own, RFC 9562
    `a${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-');
}
