import { tokenRevocation } from 'openid-client';
import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { type Entry, openCredentials } from './login/credentials.ts';
import { type Gateway, gatewayUrl, readGateway } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';
import { problemOf } from './login/problems.ts';
import { connectSource, revokeRefreshToken } from './login/provider.ts';

/** `sallyport logout`: takes the token and its renewal back, and forgets them. */
export const logoutCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('logout')
    .description('end a sign-in: at the gateway, at the identity provider, and here')
    .option('-g, --gateway <url>', 'publicUrl of the gateway (default: as for login)')
    .addHelpText('after', examples('sallyport logout', 'sallyport logout --gateway https://sallyport.example.com'))
    .action(
      action(async (options: { readonly gateway?: string }) => {
        const credentials = openCredentials(configFolder(io.env));
        const url = gatewayUrl(options, io, credentials);
        const failures = await credentials.exclusively(async (write) => {
          const entry = credentials.read().gateways[url];
          if (entry === undefined) return undefined;
          // Forgotten first: whatever fails after that, nobody here can use it any more.
          write.remove(url);
          return takeBack(url, entry);
        });
        if (failures === undefined) {
          io.stdout.write(`You were not signed in to ${url}.\n`);
          return 0;
        }
        if (failures.length === 0) {
          io.stdout.write(`Signed out of ${url}.\n`);
          return 0;
        }
        throw new CliError(
          exitCodes.failed,
          `Forgotten here, but not taken back everywhere:\n${failures.map((failure) => `  ${failure}`).join('\n')}`,
          'The token ends by itself within the hour. To end the rest now, use the session list of your identity provider.',
        );
      }),
    );
};

/** @returns what could not be taken back, a sentence each */
async function takeBack(url: string, entry: Entry): Promise<string[]> {
  const gateway = await readGateway(url).catch((error: unknown) => sentence(error));
  if (typeof gateway === 'string') return [gateway];
  const done = await Promise.allSettled([revokeToken(gateway, entry.token), revokeRenewal(gateway, entry)]);
  return done.flatMap((result) => (result.status === 'rejected' ? [sentence(result.reason)] : []));
}

async function revokeToken(gateway: Gateway, token: string): Promise<void> {
  try {
    await tokenRevocation(gateway.oauth, token, { token_type_hint: 'access_token' });
  } catch (error) {
    throw problemOf(error, gateway);
  }
}

async function revokeRenewal(gateway: Gateway, entry: Entry): Promise<void> {
  const { refreshToken } = entry;
  const login = gateway.providers.find(({ name }) => name === entry.provider);
  if (refreshToken === undefined || login === undefined) return;
  await revokeRefreshToken(await connectSource(login, entry), refreshToken);
}

function sentence(error: unknown): string {
  if (error instanceof CliError) return error.message;
  throw error;
}
