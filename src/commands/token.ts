import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import { type AddCommand, CliError, durationMs, examples, exitCodes, oneOf, type Program } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { demoSecret, identities, peopleClient, personGrant } from './demo/people.ts';
import { readRunning } from './demo/running.ts';
import { openCredentials } from './login/credentials.ts';
import { freshToken } from './login/fresh.ts';
import { chooseGateway, exchange, readGateway, trustedGateway } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';

interface Options extends ConfigOption {
  readonly as?: string;
  readonly gateway?: string;
  readonly minValidity: number;
  readonly subjectTokenFile?: string;
}

/** Longest token file in bytes; a token is some kilobytes. */
const maxTokenBytes = 64 * 1024;

/** `sallyport token`: prints a token for the gateway, and nothing else. */
export const tokenCommand: AddCommand = ({ command, io, action }) => {
  const known = identities.map(({ id }) => id);
  withConfig(command.command('token'))
    .description('print a fresh token for the gateway, and nothing else')
    .option('-g, --gateway <url>', 'publicUrl of the gateway (default: as for login)')
    .addOption(
      new Option('--min-validity <duration>', 'renew a token that is good for less than this')
        .argParser(durationMs)
        .default(60_000, '60s'),
    )
    .option('--subject-token-file <file>', 'exchange the token in this file (Kubernetes, CI) instead of a sign-in')
    .option('--as <who>', `a token of the demo's provider, for one of ${known.join(', ')}`, oneOf(...known))
    .addHelpText(
      'after',
      '\nThe gateway is asked only for a new token: one that it has taken back meanwhile is still printed until\nit expires. `sallyport whoami` says whether the gateway accepts it.',
    )
    .addHelpText(
      'after',
      examples(
        'sallyport token',
        'curl -H "Authorization: Bearer $(sallyport token)" …',
        'sallyport token --subject-token-file /var/run/secrets/tokens/sallyport --gateway https://sallyport.example.com',
        'sallyport token --as jane',
      ),
    )
    .action(
      action(async (options: Options) => {
        io.stdout.write(
          `${await (options.as === undefined ? gatewayToken(options, io) : ofDemo(options.as, options, io))}\n`,
        );
        return 0;
      }),
    );
};

async function gatewayToken(options: Options, io: Program['io']): Promise<string> {
  const credentials = openCredentials(configFolder(io.env));
  if (options.subjectTokenFile === undefined) {
    const gateway = trustedGateway(options, io, credentials);
    return (await freshToken({ credentials, gateway, minValidityMs: options.minValidity })).token;
  }
  const { url, namedBy, isNamed } = chooseGateway(options, io, credentials);
  // It gets the token in the file, and nobody has looked at it.
  if (!isNamed)
    throw new CliError(
      exitCodes.usage,
      `No gateway is named that may have the token in ${options.subjectTokenFile} (${namedBy} says ${url}).`,
      'Name it: --gateway https://…, or set SALLYPORT_GATEWAY.',
    );
  const subject = readToken(options.subjectTokenFile);
  return (await exchange(await readGateway(url), { token: subject, type: 'jwt' })).token;
}

/** Reads a token file, as it is now: whoever writes it (the kubelet, a CI runner) replaces it before it expires. */
function readToken(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(
      exitCodes.usage,
      `${path} cannot be read (${code}).`,
      'Name the file that holds the token.',
      error,
    );
  }
  if (text.length <= maxTokenBytes && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  throw new CliError(
    exitCodes.usage,
    `${path} does not hold a JWT and nothing else.`,
    'Name the file that holds the token.',
  );
}

async function ofDemo(id: string, options: Options, io: Program['io']): Promise<string> {
  const running = await readRunning(configOf(options, io).stateDir);
  if (running === undefined) throw notRunning();
  return demoToken(running.issuer, id);
}
/** Gets an access token from the running demo provider. Throws CliError. */
export async function demoToken(issuer: string, id: string): Promise<string> {
  const service = identities.find((identity) => identity.id === id)?.kind === 'service';
  const form = service
    ? { grant_type: 'client_credentials', client_id: id, client_secret: demoSecret(id) }
    : { grant_type: personGrant, client_id: peopleClient, person: id };
  let response: Response;
  try {
    response = await fetch(`${issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams(form),
      signal: AbortSignal.timeout(5_000),
    });
  } catch (error) {
    throw notRunning(error);
  }
  const answer = (await response.json().catch(() => ({}))) as { access_token?: unknown; error_description?: unknown };
  if (response.ok && typeof answer.access_token === 'string') return answer.access_token;
  throw new CliError(
    exitCodes.failed,
    `The demo's provider gave no token for ${id} (${String(answer.error_description ?? response.status)}).`,
    'Stop the demo and start it again.',
  );
}

const notRunning = (cause?: unknown) =>
  new CliError(
    exitCodes.unreachable,
    'The demo, which gives out these tokens, is not running.',
    'Start it in another terminal with `npm start`, then run this again.',
    cause,
  );
