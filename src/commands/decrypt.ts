import { text as textOf } from 'node:stream/consumers';
import { decryptText } from '../mask/operators.ts';
import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { withConfig } from './config-option.ts';
import { type KeyOptions, maskingKeysOf } from './masking-key.ts';

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
      action(async (options: KeyOptions) => {
        if (io.stdin === undefined || io.stdin.isTTY === true)
          throw new CliError(exitCodes.usage, 'There is no text.', 'Pipe it in: sallyport decrypt < answer.txt');
        const keys = await maskingKeysOf(options, io);
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
