import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { CliError, exitCodes } from '../cli.ts';
import { modelsOf } from '../models-file.ts';
import type { Progress } from '../progress.ts';
import { startDemoModel } from './model.ts';
import { startDemoProvider } from './provider.ts';
import { removeRunning, writeRunning } from './running.ts';
import { readOrCreateSecret } from './secrets.ts';

/** Pace of the scripted model: about as fast as a small model on a laptop. */
const eventDelayMs = 8;

/** File of the demo model's own credential, which models.yaml names. */
export const modelCredentialFile = (stateDir: string): string => join(stateDir, 'demo', 'model-credential');

/**
 * Starts the demo's provider and model where the configuration expects them: the provider `demo` at its issuer, the model
 * `demo` at its upstream. Throws CliError where there are none on this machine, or a port is taken.
 */
export async function startDemo(
  config: Pick<Config, 'stateDir' | 'identity' | 'models'>,
  progress: Progress,
): Promise<{ close(): Promise<void> }> {
  const { stateDir } = config;
  const { providerPort, modelPort } = await portsOf(config);
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

async function portsOf(config: Pick<Config, 'identity' | 'models'>) {
  const issuer = config.identity.providers.find(({ name }) => name === 'demo')?.issuer;
  const upstream = (await modelsOf(config)).find(({ name }) => name === 'demo')?.upstream;
  const match = /^http:\/\/127\.0\.0\.1:(\d+)$/.exec(issuer ?? '');
  if (match !== null && upstream?.host === '127.0.0.1' && !upstream.tls)
    return { providerPort: Number(match[1]), modelPort: upstream.port };
  throw new CliError(
    exitCodes.usage,
    'The demo needs an identity provider `demo` and a model `demo`, both with an http address on 127.0.0.1.',
    "Use the repository's own sallyport.yaml and policies/models.yaml, or start without --demo.",
  );
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
