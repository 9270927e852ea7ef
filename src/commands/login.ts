import { createInterface } from 'node:readline';
import { type AddCommand, CliError, examples, exitCodes, type Io } from './cli.ts';
import { aborting, type OpenBrowser } from './login/browser.ts';
import { askConsent } from './login/consent.ts';
import { type Credentials, openCredentials } from './login/credentials.ts';
import { chooseGateway, type Gateway, type LoginProvider, readGateway } from './login/gateway.ts';
import { interruptible } from './login/interruptible.ts';
import { configFolder } from './login/private-file.ts';
import { signIn } from './login/sign-in.ts';
import { revokeRenewal, revokeToken } from './login/take-back.ts';
import { askWhoami, span, whoamiText } from './login/whoami.ts';
import { escapeControls } from './text.ts';

interface Options {
  readonly gateway?: string;
  readonly provider?: string;
  readonly device?: boolean;
  readonly browser: boolean;
  readonly redirectUri?: string;
  readonly yes?: boolean;
}

/** Longest that a sign-in is waited for, milliseconds. */
const defaultTimeoutMs = 5 * 60_000;

/** `sallyport login`: signs in with an identity provider of a gateway, and keeps what `sallyport token` needs. */
export const loginCommand =
  (openBrowser: OpenBrowser, timeoutMs = defaultTimeoutMs): AddCommand =>
  ({ command, io, action }) => {
    command
      .command('login')
      .description('sign in to a gateway with your identity provider')
      .option(
        '-g, --gateway <url>',
        'publicUrl of the gateway (default: $SALLYPORT_GATEWAY, sallyport.yaml here, the last one)',
      )
      .option('-p, --provider <name>', 'identity provider, where the gateway has several')
      .option('--device', 'sign in with a browser elsewhere: shows a code to enter there')
      .option('--no-browser', 'only print the address to open')
      .option(
        '--redirect-uri <uri>',
        'for providers that compare it to the letter, such as http://localhost:8400/callback',
      )
      .option('-y, --yes', 'sign in without asking, also to a gateway that is new here')
      .addHelpText(
        'after',
        examples('sallyport login --gateway https://sallyport.example.com', 'sallyport login --device'),
      )
      .action(
        action(async (options: Options) => {
          const credentials = openCredentials(configFolder(io.env));
          // Before the user goes to any trouble: what cannot be kept is of no use.
          credentials.ensureWritable();
          const chosen = chooseGateway(options, io, credentials);
          const gateway = await readGateway(chosen.url);
          const say = (text: string) => void io.stderr.write(`${escapeControls(text, { keepNewlines: true })}\n`);
          const entry = await interruptible(timeoutMs, async (signal) => {
            const login = await choose(gateway, options.provider, io, signal);
            const before = credentials.read().gateways[gateway.url];
            await askConsent({ chosen, login, before, isYes: options.yes ?? false }, io, signal);
            await endRenewal(gateway, credentials, say, signal);
            return signIn(gateway, login, {
              device: options.device ?? false,
              redirectUri: options.redirectUri,
              open: options.browser ? openBrowser : undefined,
              say,
              signal,
            });
          });
          await credentials.exclusively(async (write) => {
            const replaced = credentials.read().gateways[gateway.url];
            write.save(gateway.url, entry, true);
            if (replaced !== undefined) sayLeft(await revokeToken(gateway, replaced.token), say);
          });
          const good = span(entry.expiresAtMs - Date.now());
          const who = await askWhoami(gateway, entry.token);
          io.stdout.write(
            whoamiText(who, gateway.url, [
              ['Token', entry.refreshToken === undefined ? `good for ${good}` : `good for ${good}, then renewed`],
            ]),
          );
          if (entry.refreshToken === undefined)
            say('The provider gave nothing to renew it with: after that, `sallyport login` again.');
          return 0;
        }),
      );
  };

type Say = (text: string) => void;

/**
 * Ends the renewal of the sign-in that is to be replaced. Before the new one: many providers take back all that a person
 * granted to a client with one refresh token (RFC 7009, section 2.1), and so would end the new one, too.
 */
function endRenewal(gateway: Gateway, credentials: Credentials, say: Say, signal: AbortSignal): Promise<void> {
  // Locked: a renewal at the same time would bring another refresh token.
  return credentials.exclusively(async () => {
    const entry = credentials.read().gateways[gateway.url];
    if (entry !== undefined) sayLeft(await revokeRenewal(gateway, entry), say);
  }, signal);
}

/** Best effort: a sign-in does not fail for what is left of the one before. */
function sayLeft(failures: readonly string[], say: Say): void {
  if (failures.length > 0) say(`The sign-in before this one could not be ended everywhere: ${failures.join(' ')}`);
}

/** The provider to sign in with: the one named, the only one, or the one that the user picks. Throws CliError. */
async function choose(
  { providers, url }: Gateway,
  named: string | undefined,
  io: Io,
  signal: AbortSignal,
): Promise<LoginProvider> {
  const usable = providers.filter(({ kind, client_id }) => kind === 'saml' || client_id !== undefined);
  const names = usable.map(({ name }) => name);
  if (named !== undefined) {
    const found = usable.find(({ name }) => name === named);
    if (found !== undefined) return found;
    throw new CliError(
      exitCodes.usage,
      `One cannot sign in to ${url} with ${named}.`,
      names.length > 0 ? `There is ${names.join(', ')}.` : 'Whoever runs it must set `login` for a provider.',
    );
  }
  const [only, ...others] = usable;
  if (only === undefined)
    throw new CliError(
      exitCodes.failed,
      `The gateway ${url} has no identity provider that one can sign in with from here.`,
      'Whoever runs it must set `login.clientId` for a provider (docs/identity.md). Services need no login: sallyport token --subject-token-file.',
    );
  if (others.length === 0) return only;
  if (io.stdin?.isTTY !== true)
    throw new CliError(
      exitCodes.usage,
      `${url} has several identity providers.`,
      `Name one: --provider ${names.join(' | ')}`,
    );
  return ask(usable, io, signal);
}

async function ask(usable: readonly LoginProvider[], io: Io, signal: AbortSignal): Promise<LoginProvider> {
  const choices = usable.map(
    ({ name, issuer }, at) => `  ${at + 1}  ${escapeControls(`${name}  ${issuer ?? 'SAML'}`)}\n`,
  );
  io.stderr.write(`Sign in with which identity provider?\n${choices.join('')}`);
  const reader = createInterface({ input: io.stdin as NodeJS.ReadableStream });
  const lines = reader[Symbol.asyncIterator]();
  try {
    for (;;) {
      io.stderr.write(`1-${usable.length}: `);
      const line = await aborting(lines.next(), signal);
      if (line.done === true) throw new CliError(exitCodes.usage, 'None was chosen.', 'Name one with --provider.');
      const answer = line.value.trim();
      const found = usable.find(({ name }, at) => answer === name || answer === String(at + 1));
      if (found !== undefined) return found;
    }
  } finally {
    reader.close();
  }
}
