import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { type Credentials, openCredentials } from './login/credentials.ts';
import { gatewayUrl } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';
import { takeBack } from './login/take-back.ts';

/** `sallyport logout`: takes the token and its renewal back, and forgets them. */
export const logoutCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('logout')
    .description('end a sign-in: at the gateway, at the identity provider, and here')
    .option('-g, --gateway <url>', 'publicUrl of the gateway (default: as for login)')
    .addHelpText(
      'after',
      '\nWhere what is kept cannot be used any more (others may read it, or it is damaged), every sign-in in it\nis ended, and the file removed.',
    )
    .addHelpText('after', examples('sallyport logout', 'sallyport logout --gateway https://sallyport.example.com'))
    .action(
      action(async (options: { readonly gateway?: string }) => {
        const credentials = openCredentials(configFolder(io.env));
        const problem = credentials.problem();
        const { said, failures } =
          problem === undefined
            ? await end(gatewayUrl(options, io, credentials), credentials)
            : await endAll(problem, credentials);
        if (failures.length === 0) {
          io.stdout.write(`${said}\n`);
          return exitCodes.ok;
        }
        throw new CliError(
          exitCodes.failed,
          `Forgotten here, but not taken back everywhere:\n${failures.map((failure) => `  ${failure}`).join('\n')}`,
          'The token ends by itself within the hour. To end the rest now, use the session list of your identity provider.',
        );
      }),
    );
};

interface Ended {
  readonly said: string;
  /** What could not be taken back, a sentence each. */
  readonly failures: readonly string[];
}

function end(url: string, credentials: Credentials): Promise<Ended> {
  return credentials.exclusively(async (write) => {
    const entry = credentials.read().gateways[url];
    if (entry === undefined) return { said: `You were not signed in to ${url}.`, failures: [] };
    // Forgotten first: whatever fails after that, nobody here can use it any more.
    write.remove(url);
    return { said: `Signed out of ${url}.`, failures: await takeBack(url, entry) };
  });
}

/** Of a file that is not used: what can still be read of it is taken back, since somebody else may have read it, too. */
function endAll(problem: CliError, credentials: Credentials): Promise<Ended> {
  return credentials.exclusively(async (write) => {
    const kept = write.discard();
    if (kept === undefined) return { said: '', failures: [`${problem.message} It is removed.`] };
    const failures = await Promise.all(Object.entries(kept).map(([url, entry]) => takeBack(url, entry)));
    return {
      said: [...Object.keys(kept).map((url) => `Signed out of ${url}.`), `${credentials.path} is removed.`].join('\n'),
      failures: failures.flat(),
    };
  });
}
