import type { Connection } from './connection.ts';
import { isMemberOf } from './membership.ts';
import type { PostgresOptions } from './options.ts';
import { lookAtRoles, type Role } from './roles.ts';
import { resetStatement, settingsOf, settingStatement } from './settings.ts';
import { statement } from './setup.ts';
import type { Slots } from './slots.ts';

/**
 * Makes the idle role work like the one in use: it is created if it is missing, made a member of the owner, acts
 * as the owner, and gets the same settings. An application must not notice which of the two it logs in with.
 */
export async function prepareIdle(
  connection: Connection,
  { owner }: PostgresOptions,
  { idle, current }: Slots,
): Promise<Role> {
  const role = await lookOrCreate(connection, idle, owner);
  if (!(await isMemberOf(connection, role, owner))) await connection.query(statement.joinOwner(idle, owner));
  for (const sql of await missingSettings(connection, { idle: role, owner, current }))
    await connection.query(sql);
  return role;
}

/** What makes the settings of the idle role those of the one in use, in the fewest statements. */
export async function missingSettings(
  connection: Connection,
  { idle, owner, current }: { idle: Role; owner: string; current: Role | undefined },
): Promise<string[]> {
  const present = await settingsOf(connection, idle);
  const wanted = new Set([
    ...(current ? await settingsOf(connection, current) : []).map((setting) =>
      settingStatement(idle.name, setting),
    ),
    statement.actAsOwner(idle.name, owner),
  ]);
  const has = new Set(present.map((setting) => settingStatement(idle.name, setting)));
  // Without one in use nobody knows which settings are wanted.
  const left = current ? present.filter((setting) => !wanted.has(settingStatement(idle.name, setting))) : [];
  return [
    ...left.map((setting) => resetStatement(idle.name, setting)),
    ...[...wanted].filter((sql) => !has.has(sql)),
  ];
}

async function lookOrCreate(connection: Connection, idle: string, owner: string): Promise<Role> {
  const [role] = await lookAtRoles(connection, [idle]);
  if (role) return role;
  await connection.query(statement.createLogin(idle, owner));
  const [created] = await lookAtRoles(connection, [idle]);
  if (!created) throw new Error(`The role ${idle} was created and can't be seen.`);
  return created;
}
