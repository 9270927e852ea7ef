import { Channel } from '../mask/channel.ts';
import { createTextMaskers } from '../mask/text.ts';
import { type AddCommand, examples, exitCodes } from './cli.ts';
import { automatonOf, type DetectOptions, pipedIn, utf8Text, writeOut } from './piped-text.ts';

/** `sallyport mask`: standard input to standard output, masked as an answer is. */
export const maskCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('mask')
    .description('mask a text: standard input to standard output, as it comes')
    .option('--detect <names>', 'detectors and categories, with commas between them', 'all')
    .option('--config <file>', 'a configuration whose own detectors are known, too')
    .addHelpText(
      'after',
      '\nThe input is one text, of any length. What can no longer be part of a match is written at once.\nInput that is not UTF-8 ends it with exit code 1, after the text before it.',
    )
    .addHelpText(
      'after',
      examples('kubectl logs -f deploy/api | sallyport mask', 'sallyport mask --detect secrets,iban_code < mail.txt'),
    )
    .action(
      action(async (options: DetectOptions) => {
        const maskers = createTextMaskers(await automatonOf(options, io));
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
