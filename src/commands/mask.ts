import { compileAutomaton } from '../detect/automaton.ts';
import { Channel } from '../mask/channel.ts';
import { createTextMaskers } from '../mask/text.ts';
import { type AddCommand, examples, exitCodes, wholeNumber } from './cli.ts';
import { becomesOf, type OperatorOptions, operatorChoices } from './mask-operators.ts';
import { type DetectOptions, detectorsOfOptions, pipedIn, utf8Text, writeOut } from './piped-text.ts';

interface Options extends DetectOptions, Omit<OperatorOptions, 'config'> {}

/** `sallyport mask`: standard input to standard output, masked as an answer is. */
export const maskCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('mask')
    .description('mask a text: standard input to standard output, as it comes')
    .option('--detect <names>', 'detectors and categories, with commas between them', 'all')
    .option('--config <file>', 'a configuration whose own detectors are known, too')
    .option(
      '--operator <[name=]operator>',
      'what matches become: replace (default), redact, mask, hash or encrypt; of one detector or category with its name before it; several with commas, or again',
      operatorChoices,
    )
    .option('--keep-last <count>', 'mask: letters and digits at the end that stay (default: 4)', wholeNumber(0, 64))
    .option('--key-file <file>', 'hash and encrypt: the key (default: that of the --config)')
    .addHelpText(
      'after',
      '\nThe input is one text, of any length. What can no longer be part of a match is written at once.\nInput that is not UTF-8 ends it with exit code 1, after the text before it.\n`sallyport decrypt --key-file` puts back what encrypt took out. Of a match, mask keeps a quarter at most.',
    )
    .addHelpText(
      'after',
      examples(
        'kubectl logs -f deploy/api | sallyport mask',
        'sallyport mask --detect secrets,iban_code < mail.txt',
        'sallyport mask --operator mask --operator secrets=redact < mail.txt',
        'sallyport mask --operator encrypt --key-file masking.key < mail.txt > masked.txt',
      ),
    )
    .action(
      action(async (options: Options) => {
        const detectors = await detectorsOfOptions(options, io);
        const becomes = await becomesOf(options, detectors, io);
        const maskers = createTextMaskers(compileAutomaton(detectors.chosen), becomes);
        // A channel keeps surrogate pairs together: each piece is encoded by itself.
        const channel = new Channel(
          [],
          maskers(() => {}),
        );
        const input = pipedIn(io);
        try {
          for await (const text of utf8Text(input)) await writeOut(io, channel.push(text));
        } finally {
          await writeOut(io, channel.end());
        }
        return exitCodes.ok;
      }),
    );
};
