import { withAdmin } from './admin-client.ts';
import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';

interface RevokeOptions extends ConfigOption {
  readonly tokenId?: string;
  readonly subject?: string;
}

/** `sallyport revoke`: takes back a token that the gateway issued, or all that somebody holds. */
export const revokeCommand: AddCommand = ({ command, io, action }) => {
  withConfig(command.command('revoke'))
    .description('take back a token that the gateway issued, or every credential that somebody holds now')
    .option('--token-id <jti>', 'the `jti` of a token that the gateway issued (`credential.tokenId` on the record)')
    .option(
      '--subject <provider/subject>',
      'refuse all that was vouched for this caller until now; who signs in again is let in',
    )
    .addHelpText(
      'after',
      examples(
        'sallyport revoke --subject corp/jane@example.com',
        'sallyport revoke --token-id 9fJb2mQm3dUu0yJc5v1kXw',
      ),
    )
    .action(
      action(async (options: RevokeOptions) => {
        const what = whatOf(options);
        await withAdmin(configOf(options, io), io.user, undefined, (ask) => ask('POST', '/v1/revocations', what));
        io.stdout.write(
          'tokenId' in what
            ? 'The token is taken back.\n'
            : 'All that they held is taken back. To keep them out, take them out of the groups or the provider, too.\n',
        );
        return exitCodes.ok;
      }),
    );
};

function whatOf({ tokenId, subject }: RevokeOptions) {
  if ((tokenId === undefined) === (subject === undefined))
    throw new CliError(exitCodes.usage, 'Say what to take back.', 'Either --token-id or --subject; see --help.');
  if (tokenId !== undefined) return { tokenId };
  const at = (subject ?? '').indexOf('/');
  const [provider, name] = [subject?.slice(0, at), subject?.slice(at + 1)];
  if (at > 0 && name !== '') return { provider, subject: name };
  throw new CliError(
    exitCodes.usage,
    'A subject is written provider/subject.',
    'As in corp/jane; `sallyport sessions show` says both.',
  );
}
