import type { Connection } from './connection.ts';
import { isMemberOf } from './membership.ts';
import type { PostgresOptions } from './options.ts';
import { lookAtRoles, type Role } from './roles.ts';
import { settingsOf, settingStatement } from './settings.ts';
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
  const has = new Set((await settingsOf(connection, role)).map((setting) => settingStatement(idle, setting)));
  const settings = current ? await settingsOf(connection, current) : [];
  const wanted = [
    ...settings.map((setting) => settingStatement(idle, setting)),
    statement.actAsOwner(idle, owner),
  ];
  for (const sql of wanted) if (!has.has(sql)) await connection.query(sql);
  return role;
}

async function lookOrCreate(connection: Connection, idle: string, owner: string): Promise<Role> {
  const [role] = await lookAtRoles(connection, [idle]);
  if (role) return role;
  await connection.query(statement.createLogin(idle, owner));
  const [created] = await lookAtRoles(connection, [idle]);
  if (!created) throw new Error(`The role ${idle} was created and can't be seen.`);
  return created;
}
