import { CliError } from './cli-error.ts';

/** Where a command finds the rotator that is running. */
export interface AddressOptions {
  readonly url?: string;
  readonly config?: string;
}

const defaultUrl = 'http://127.0.0.1:7420';

/** `--url`, or what `fleet.listen` of the configuration says, or where a rotator listens unless told otherwise. */
export async function rotatorUrl({ url, config }: AddressOptions): Promise<URL> {
  const address = url ?? (config === undefined ? defaultUrl : await listensAt(config));
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) {
    throw new CliError('USAGE', `${address} is not the address of a rotator.`, {
      hint: `For example --url ${defaultUrl}`,
    });
  }
  const found = new URL(address);
  if (found.username !== '' || found.password !== '') {
    throw new CliError('USAGE', 'The address of a rotator has no user and no password in it.', {
      hint: 'It asks for an Entra token where it wants to know who you are.',
    });
  }
  if (!found.pathname.endsWith('/')) found.pathname += '/'; // it may be behind a path
  return found;
}

async function listensAt(file: string): Promise<string> {
  const { loadFile } = await import('./config/load.ts');
  const { configurationFile } = await import('./config/schema.ts');
  const { listen } = (await loadFile(file, configurationFile)).fleet;
  // Every address of this machine is one that a connection to loopback reaches.
  const here = listen.replace(/^(0\.0\.0\.0|\*):/, '127.0.0.1:').replace(/^(\[::\]|::):/, '[::1]:');
  return `http://${here}`;
}

/** A token may go there: nobody on the way reads it. */
export function isConfidential({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
