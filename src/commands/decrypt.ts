import { resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { readMaskingKey, readMaskingKeys } from '../gateway/masking-keys.ts';
import { secretReader } from '../gateway/secrets.ts';
import { decryptText, type MaskingKeys } from '../mask/operators.ts';
import { type AddCommand, CliError, examples, exitCodes, type Io } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';

interface Options extends ConfigOption {
  readonly keyFile?: string;
}

/** `sallyport decrypt`: puts back what the operator `encrypt` took out of a text. */
export const decryptCommand: AddCommand = ({ command, io, action }) => {
  withConfig(command.command('decrypt'))
    .description('read a text from stdin, and write it with what `operator: encrypt` took out of it put back')
    .option('-k, --key-file <file>', 'the key, where it is not the one that the configuration names')
    .addHelpText(
      'after',
      examples('sallyport decrypt < answer.txt', 'sallyport decrypt --key-file old-masking.key < answer.txt'),
    )
    .action(
      action(async (options: Options) => {
        if (io.stdin === undefined || io.stdin.isTTY === true)
          throw new CliError(exitCodes.usage, 'There is no text.', 'Pipe it in: sallyport decrypt < answer.txt');
        const keys = await keysOf(options, io);
        const { text, unopened } = decryptText(await textOf(io.stdin), keys);
        if (unopened > 0)
          throw new CliError(
            exitCodes.failed,
            `${unopened === 1 ? 'One value was' : `${unopened} values were`} encrypted with another key, or changed since.`,
            'Name the key of the gateway that masked it: masking.key, masking.previousKey or --key-file. Nothing was written.',
          );
        io.stdout.write(text);
        return exitCodes.ok;
      }),
    );
};

async function keysOf(options: Options, io: Io): Promise<readonly MaskingKeys[]> {
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
