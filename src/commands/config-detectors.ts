import type { Config } from '../config.ts';
import { type KnownDetectors, openDetectors } from '../gateway/detectors.ts';
import { secretReader } from '../gateway/secrets.ts';
import { CliError, exitCodes, type Io } from './cli.ts';

/** The detectors that the gateway has with this configuration. Throws CliError that lists every problem. */
export async function detectorsOf(
  config: Pick<Config, 'detectors' | 'names' | 'file'>,
  io: Io,
): Promise<KnownDetectors> {
  const opened = await openDetectors(config, secretReader(io.env));
  if (opened.ok) return opened.detectors;
  throw new CliError(
    exitCodes.usage,
    `The detectors of the configuration are wrong:\n${opened.problems}`,
    'Correct them and run this again; docs/own-detectors.md says what may be in them.',
  );
}
