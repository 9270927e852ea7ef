import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { CliError, exitCodes } from '../cli.ts';
import type { Progress } from '../progress.ts';
import { startDemoModel } from './model.ts';
import { startDemoProvider } from './provider.ts';
import { removeRunning, writeRunning } from './running.ts';
import { readOrCreateSecret } from './secrets.ts';

const providerPort = 9192;
const modelPort = 18080;
/** Pace of the scripted model: about as fast as a small model on a laptop. */
const eventDelayMs = 8;

/** File of the demo model's own credential, which models.yaml names. */
export const modelCredentialFile = (stateDir: string): string => join(stateDir, 'demo', 'model-credential');

/** Starts the demo's provider and model, and says where they are. Throws CliError where a port is taken. */
export async function startDemo(
  config: Pick<Config, 'stateDir'>,
  progress: Progress,
): Promise<{ close(): Promise<void> }> {
  const { stateDir } = config;
  const credential = await readOrCreateSecret(modelCredentialFile(stateDir), () =>
    randomBytes(24).toString('base64url'),
  );
  const provider = await progress.step(
    'OpenID provider',
    () =>
      startDemoProvider({ port: providerPort, stateDir }).catch(portTaken(providerPort, "the demo's OpenID provider")),
    ({ url }) => `OpenID provider on ${url} (jane, sam)`,
  );
  try {
    const model = await progress.step(
      'Demo model',
      () => startDemoModel({ port: modelPort, credential, eventDelayMs }).catch(portTaken(modelPort, 'the demo model')),
      ({ url }) => `Demo model on ${url} (a script)`,
    );
    await writeRunning(stateDir, { issuer: provider.url });
    return {
      async close() {
        await removeRunning(stateDir);
        await Promise.all([provider.close(), model.close()]);
      },
    };
  } catch (error) {
    await provider.close();
    throw error;
  }
}

const portTaken =
  (port: number, what: string) =>
  (error: NodeJS.ErrnoException): never => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new CliError(
      exitCodes.failed,
      `Port ${port}, which ${what} needs, is in use.`,
      'Stop what uses it: another `npm start`, perhaps.',
      error,
    );
  };
