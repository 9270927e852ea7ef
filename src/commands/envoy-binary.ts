import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Config } from '../config.ts';
import { CliError, exitCodes } from './cli.ts';

/** Where scripts/bootstrap.mjs puts the Envoy that it brings. */
const broughtBySetup = join(import.meta.dirname, '..', '..', '.cache', 'envoy', '1.40.0', 'envoy');

/** The Envoy for `up`: ENVOY_BIN, else `envoy` in PATH, else the one that the setup brought. Throws CliError. */
export function envoyBinary(config: Pick<Config, 'envoyBin'>, env: NodeJS.ProcessEnv): string {
  if (config.envoyBin !== undefined) {
    if (existsSync(config.envoyBin)) return config.envoyBin;
    throw new CliError(
      exitCodes.usage,
      `ENVOY_BIN is ${config.envoyBin}, which does not exist.`,
      'Set it to an Envoy binary, or unset it.',
    );
  }
  const onPath = (env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'envoy'));
  const found = [...onPath, broughtBySetup].find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new CliError(
    exitCodes.usage,
    'There is no Envoy here.',
    'Run `npm start` once, which brings it, or set ENVOY_BIN to Envoy 1.36 to 1.40.',
  );
}
