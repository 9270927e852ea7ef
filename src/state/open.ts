import { readFile } from 'node:fs/promises';
import type { RedisConfig, StateConfig } from './config.ts';
import type { RedisSecrets } from './redis-connection.ts';
import { openSqliteState } from './sqlite.ts';
import { type StateStore, StateUnavailable } from './store.ts';

export interface OpenStateOptions {
  /** Holds `passwordEnv`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Opens the control state that the config asks for. Throws StateUnavailable when it cannot be used: the gateway does not start. */
export async function openState(config: StateConfig, { environment, now }: OpenStateOptions): Promise<StateStore> {
  switch (config.engine) {
    case 'sqlite':
      return openSqliteState({ ...config, now });
    case 'redis': {
      // Loaded only where it is used.
      const { openRedisState } = await import('./redis.ts');
      const { username, ...rest } = config;
      return openRedisState({ ...rest, username, now, secrets: () => readSecrets(config, environment) });
    }
  }
}

/** Reads password and CA anew. Throws StateUnavailable for what cannot be read. */
export async function readSecrets(
  { passwordFile, passwordEnv, caFile }: RedisConfig,
  environment: OpenStateOptions['environment'],
): Promise<RedisSecrets> {
  const ca = caFile === undefined ? undefined : await read(caFile, 'state.caFile');
  if (passwordFile !== undefined)
    return { ca, password: (await read(passwordFile, 'state.passwordFile')).replace(/\r?\n$/, '') };
  if (passwordEnv === undefined) return { ca, password: undefined };
  const password = environment[passwordEnv];
  if (password === undefined || password === '')
    throw new StateUnavailable(`the environment variable ${passwordEnv} (state.passwordEnv) is not set`);
  return { ca, password };
}

async function read(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new StateUnavailable(`${option} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}
