import { type Revocation, tokenIdPattern } from '../console/admin.ts';
import { meshProvider } from '../identity/config.ts';
import { withAdmin } from './admin-client.ts';
import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { escapeControls } from './text.ts';

interface RevokeOptions extends ConfigOption {
  readonly tokenId?: string;
  readonly subject?: string;
}

/** `sallyport revoke`: takes back a token that the gateway issued, or all that somebody holds. */
export const revokeCommand: AddCommand = ({ command, io, action }) => {
  withConfig(command.command('revoke'))
    .description('refuse a token that the gateway issued, or all tokens and assertions of somebody from before now')
    .option('--token-id <jti>', 'the `jti` of a token that the gateway issued (`credential.tokenId` on the record)')
    .option(
      '--subject <provider/subject>',
      'refuse all tokens and assertions of this caller from before now; those from after it are taken',
    )
    .addHelpText('after', `\n${renewal}`)
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
        io.stdout.write(escapeControls(`${said(what)}\n`, { keepNewlines: true }));
        return exitCodes.ok;
      }),
    );
};

const renewal = `This ends no sign-in at the identity provider. Whoever can still renew there (a refresh token that
\`sallyport login\` or another client keeps, a session of the browser) gets new tokens without a
password, and those are taken. End that at the provider, too; to keep somebody out, disable them
there or take their groups.`;

/** What is so from now on. The gateway keeps no list of what it issued, nor of whom a provider knows: a typo looks the same. */
function said(what: Revocation): string {
  if ('tokenId' in what)
    return `The token ${what.tokenId} is taken back: refused from now on.
Whether it was ever issued is not checked: compare credential.tokenId on the record.`;
  const who = `${what.provider}/${what.subject}`;
  const unchecked = 'Whether there is such a caller is not checked: compare `sallyport sessions show ID`.';
  if (what.provider === meshProvider)
    return `The peer ${who} is taken back: refused from now on, also with a new certificate.\n${unchecked}`;
  return `Tokens and assertions of ${who} from before now are taken back: refused from now on.\n${unchecked}\n\n${renewal}`;
}

function whatOf({ tokenId, subject }: RevokeOptions): Revocation {
  if ((tokenId === undefined) === (subject === undefined))
    throw new CliError(exitCodes.usage, 'Say what to take back.', 'Either --token-id or --subject; see --help.');
  if (tokenId !== undefined && tokenIdPattern.test(tokenId)) return { tokenId };
  if (tokenId !== undefined)
    throw new CliError(
      exitCodes.usage,
      'This is not the id of a token that the gateway issued: those have 22 characters of base64url.',
      'It is `jti` in the token (`sallyport inspect-token`), and credential.tokenId on the record. Tokens of a provider: --subject.',
    );
  const text = subject ?? '';
  const at = text.indexOf('/');
  if (at > 0 && at < text.length - 1) return { provider: text.slice(0, at), subject: text.slice(at + 1) };
  throw new CliError(
    exitCodes.usage,
    'A subject is written provider/subject.',
    'As in corp/jane; `sallyport sessions show` says both.',
  );
}
