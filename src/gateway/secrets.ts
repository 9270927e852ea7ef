/** Secrets that the config names: in files or in the environment, never in the config itself. */
import { readFile } from 'node:fs/promises';
import { type Config, shownPath } from '../config.ts';
import { readServiceAccount } from '../identity/groups/google.ts';
import { GatewayRefused } from './refused.ts';

export interface SecretSource {
  readonly file?: string | undefined;
  readonly env?: string | undefined;
}

/** Reads one, without the line end at its end. Rejects with an Error that says where it should be, and never what it is. */
export type ReadSecret = (source: SecretSource) => Promise<string>;

export function secretReader(environment: Readonly<Record<string, string | undefined>>): ReadSecret {
  return async ({ file, env = '' }) => {
    const text = file === undefined ? environment[env] : await readText(file);
    if (text === undefined) throw new Error(`the environment variable ${env} is not set`);
    const secret = text.replace(/\r?\n$/, '');
    if (secret === '')
      throw new Error(`${file === undefined ? `the environment variable ${env}` : shownPath(file)} is empty`);
    return secret;
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`${shownPath(file)} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

async function checkServiceAccount(file: string, read: ReadSecret): Promise<void> {
  const text = await read({ file });
  await readServiceAccount(text).catch((error: unknown) => {
    throw new Error(`${shownPath(file)}: ${error instanceof Error ? error.message : String(error)}`);
  });
}

/** What `sallyport login` may know of each provider, and that all that is secret can be read. Throws GatewayRefused. */
export async function readSecrets(config: Config, read: ReadSecret): Promise<ReadonlyMap<string, string>> {
  const loginSecrets = new Map<string, string>();
  for (const [index, { name, login, groups }] of config.identity.providers.entries()) {
    const at = (path: string) => (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new GatewayRefused(`${shownPath(config.file)}: identity.providers[${index}].${path}: ${why}.`);
    };
    if (groups.graph !== undefined) await read(groups.graph.clientSecret).catch(at('groups.graph.clientSecret'));
    if (groups.google !== undefined)
      await checkServiceAccount(groups.google.serviceAccountFile, read).catch(at('groups.google.serviceAccountFile'));
    if (login?.clientSecret !== undefined)
      loginSecrets.set(name, await read(login.clientSecret).catch(at('login.clientSecret')));
  }
  return loginSecrets;
}
