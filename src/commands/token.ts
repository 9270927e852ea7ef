import { type AddCommand, CliError, examples, exitCodes, oneOf } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { demoSecret, identities, peopleClient, personGrant } from './demo/people.ts';
import { readRunning } from './demo/running.ts';

/** `sallyport token --as jane`: prints a token for one of the demo's identities, and nothing else. */
export const tokenCommand: AddCommand = ({ command, io, action }) => {
  const known = identities.map(({ id }) => id);
  withConfig(command.command('token'))
    .description('print an access token for a person (or the service) of the demo')
    .requiredOption('--as <who>', `one of ${known.join(', ')}`, oneOf(...known))
    .addHelpText(
      'after',
      examples('sallyport token --as jane', 'curl -H "Authorization: Bearer $(npx sallyport token --as sam)" …'),
    )
    .action(
      action(async (options: ConfigOption & { readonly as: string }) => {
        const running = await readRunning(configOf(options, io).stateDir);
        if (running === undefined) throw notRunning();
        io.stdout.write(`${await demoToken(running.issuer, options.as)}\n`);
        return 0;
      }),
    );
};

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
