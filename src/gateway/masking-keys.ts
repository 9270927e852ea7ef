/** The key of the operators `hash` and `encrypt`, from where the config says, or from a file of the gateway's own. */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { deriveMaskingKeys, MASKING_KEY_BYTES, type MaskingKeys } from '../mask/operators.ts';
import type { ReadSecret, SecretSource } from './secrets.ts';

type Masking = Pick<Config, 'stateDir'> & { readonly masking: Omit<Config['masking'], 'json'> };

/** Where the gateway keeps the key that it made itself. */
export const ownMaskingKey = ({ stateDir }: Masking): string => join(stateDir, 'masking.key');

/** The key in force, then the one before it. Rejects with an Error that names the setting, and says nothing of a key. */
export async function readMaskingKeys(config: Masking, read: ReadSecret): Promise<[MaskingKeys, ...MaskingKeys[]]> {
  const { key = { file: ownMaskingKey(config) }, previousKey } = config.masking;
  const first = await readMaskingKey('masking.key', key, read);
  return previousKey === undefined ? [first] : [first, await readMaskingKey('masking.previousKey', previousKey, read)];
}

export async function readMaskingKey(setting: string, source: SecretSource, read: ReadSecret): Promise<MaskingKeys> {
  const text = await read(source).catch((error: unknown) => {
    throw new Error(`${setting}: ${error instanceof Error ? error.message : String(error)}`);
  });
  const key = Buffer.from(text.trim(), 'base64url');
  if (key.length !== MASKING_KEY_BYTES) throw new Error(`${setting} is not ${MASKING_KEY_BYTES} bytes in base64url`);
  return deriveMaskingKeys(key);
}
