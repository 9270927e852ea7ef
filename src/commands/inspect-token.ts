import { existsSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import type { Config } from '../config.ts';
import { inspectToken, type TokenReport } from '../identity/inspect.ts';
import { providerHttp } from '../identity/provider-http.ts';
import { openToken } from '../identity/token.ts';
import { type AddCommand, CliError, examples, exitCodes, type Io } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { checkGatewayToken, issuerOf } from './inspect/gateway-token.ts';
import { type Inspected, inspectedText } from './inspect/report.ts';
import { openCredentials } from './login/credentials.ts';
import { gatewayUrl } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';

interface Options extends ConfigOption {
  readonly gateway?: string;
  readonly idToken?: boolean;
  readonly json?: boolean;
}

/** `sallyport inspect-token`: what is in a token, and what the gateway says to it. */
export const inspectTokenCommand: AddCommand = ({ command, io, action }) => {
  withConfig(command.command('inspect-token'))
    .description('say what is in a token, and which of the gateway’s checks it passes')
    .argument('[token]', 'the token; - or nothing: read it from standard input (arguments are seen by `ps`)')
    .option('-g, --gateway <url>', "check the gateway's own tokens with the keys that this one publishes")
    .option('--id-token', 'check it as an ID token that is to be exchanged')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe token is sent nowhere, with one exception: where the configuration has `groups.source: userinfo`\nfor its provider, it goes to the userinfo endpoint of that provider, once its signature holds.',
    )
    .addHelpText(
      'after',
      examples(
        'sallyport token | sallyport inspect-token',
        'sallyport inspect-token - --config sallyport.yaml < token.txt',
      ),
    )
    .action(
      action(async (argument: string | undefined, options: Options) => {
        const token = await given(argument, io);
        const inspected = await inspect(token, options, io);
        io.stdout.write(
          options.json ? `${JSON.stringify(inspected, null, 2)}\n` : inspectedText(inspected, Date.now()),
        );
        const isBad = inspected.verdict?.ok === false || inspected.checks.some(({ outcome }) => outcome === 'fail');
        return isBad ? exitCodes.failed : exitCodes.ok;
      }),
    );
};

async function given(argument: string | undefined, io: Io): Promise<string> {
  const isArgument = argument !== undefined && argument !== '-';
  const { stdin } = io;
  if (!isArgument && (stdin === undefined || (argument === undefined && stdin.isTTY === true)))
    throw new CliError(exitCodes.usage, 'There is no token.', 'Pipe it in: sallyport inspect-token < file');
  const text = isArgument || stdin === undefined ? (argument ?? '') : await readAll(stdin);
  const token = text.trim().replace(/^(authorization: *)?bearer +/i, '');
  if (token === '') throw new CliError(exitCodes.usage, 'There is no token: what was given is empty.', 'See --help.');
  return token;
}

async function inspect(token: string, options: Options, io: Io): Promise<Inspected> {
  const opened = openToken(token);
  if (!opened.ok) return { ...nothing, verdict: opened, note: `It is not a JWT that can be read: ${opened.detail}.` };
  const config = configAtHand(options, io);
  const issuer = issuerOf(opened);
  const named = gatewayNamed(options, io);
  if (issuer !== undefined && [named, config?.publicUrl.replace(/\/+$/, '')].includes(issuer)) {
    const { checks, note } = await checkGatewayToken(token, issuer);
    return { header: opened.header, claims: opened.claims, checks, verdict: undefined, note };
  }
  if (config !== undefined) return reportOf(await inspectWith(token, config, options, io));
  const why =
    named === undefined
      ? 'Not checked: there is no sallyport.yaml here (--config), and no gateway is named (--gateway).'
      : `Not checked: ${named} did not issue it, and how it takes the tokens of others only its configuration says (--config).`;
  return { ...nothing, header: opened.header, claims: opened.claims, note: why };
}

const nothing: Inspected = { header: undefined, claims: undefined, checks: [], verdict: undefined, note: undefined };

function configAtHand(options: Options, io: Io): Config | undefined {
  const named = options.config ?? io.env['SALLYPORT_CONFIG'];
  return named !== undefined || existsSync('sallyport.yaml') ? configOf(options, io) : undefined;
}

function gatewayNamed(options: Options, io: Io): string | undefined {
  const gateway = options.gateway ?? io.env['SALLYPORT_GATEWAY'];
  return gateway ? gatewayUrl({ gateway }, io, openCredentials(configFolder(io.env))) : undefined;
}

/** The gate's own checks. Keys and groups are fetched as the configuration says. */
async function inspectWith(token: string, config: Config, options: Options, io: Io): Promise<TokenReport> {
  const [{ groupsOf }, { secretReader }] = await Promise.all([
    import('../gateway/identity.ts'),
    import('../gateway/secrets.ts'),
  ]);
  const readSecret = secretReader(io.env);
  const parts = {
    now: Date.now,
    httpFor: providerHttp,
    groupsOf: (provider: Config['identity']['providers'][number]) => groupsOf(provider, readSecret, Date.now),
  };
  return inspectToken(token, config.identity, parts, { asIdToken: options.idToken });
}

const reportOf = ({ header, claims, checks, verdict }: TokenReport): Inspected => ({
  header,
  claims,
  checks,
  verdict,
  note: undefined,
});
