import { resolve } from 'node:path';
import { readMaskingKey, readMaskingKeys } from '../gateway/masking-keys.ts';
import { secretReader } from '../gateway/secrets.ts';
import type { MaskingKeys } from '../mask/operators.ts';
import { CliError, exitCodes, type Io } from './cli.ts';
import { type ConfigOption, configOf } from './config-option.ts';

export interface KeyOptions extends ConfigOption {
  readonly keyFile?: string;
}

/** The key of `--key-file`, else those of the configuration, the one in force first. */
export async function maskingKeysOf(options: KeyOptions, io: Io): Promise<[MaskingKeys, ...MaskingKeys[]]> {
  const read = secretReader(io.env);
  const { keyFile } = options;
  try {
    if (keyFile !== undefined) return [await readMaskingKey('--key-file', { file: resolve(keyFile) }, read)];
    return await readMaskingKeys(configOf(options, io), read);
  } catch (error) {
    if (error instanceof CliError || !(error instanceof Error)) throw error;
    throw new CliError(
      exitCodes.usage,
      `The masking key cannot be used. ${error.message}.`,
      'It is 32 bytes in base64url: masking.key in sallyport.yaml, else masking.key in the state folder of the gateway.',
    );
  }
}
