/**
 * The commands that Keyturn's own login needs, with arguments that try them: `issue` and `inspect` ask the server about
 * each before anything is changed.
 */
export const rotatorCommands: readonly (readonly string[])[] = [
  ['ACL', 'GETUSER', 'x'],
  ['ACL', 'SETUSER', 'x'],
  ['ACL', 'SAVE'],
  ['CONFIG', 'GET', 'aclfile'],
  ['CONFIG', 'REWRITE'],
  ['CLIENT', 'LIST'],
  ['CLIENT', 'KILL', 'ID', '1'],
  ['INFO'],
];

/**
 * The command that an administrator runs once to give Keyturn a login; its password is set apart from it.
 *
 * @example
 * setupCommand('keyturn'); // ACL SETUSER keyturn on resetkeys -@all +acl|getuser …
 */
export function setupCommand(rotator: string): string {
  const rights = [['ACL', 'DRYRUN'], ...rotatorCommands].map((words) => `+${rightOf(words)}`);
  return `ACL SETUSER ${rotator} on resetkeys -@all ${rights.join(' ')}`;
}

/** What an ACL calls a command: `acl|setuser`, `info`. */
export function rightOf([command = '', subcommand = '']: readonly string[]): string {
  const word = command.toLowerCase();
  return word === 'info' ? word : `${word}|${subcommand.toLowerCase()}`;
}
