import { type AddCommand, examples } from './cli.ts';
import { openCredentials } from './login/credentials.ts';
import { freshToken } from './login/fresh.ts';
import { trustedGateway } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';
import { askWhoami, span, whoamiText } from './login/whoami.ts';

/** Validity that the question itself needs, milliseconds. */
const minValidityMs = 10_000;

/** `sallyport whoami`: who the gateway takes you for. */
export const whoamiCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('whoami')
    .description('say who the gateway takes you for: subject, groups, team')
    .option('-g, --gateway <url>', 'publicUrl of the gateway (default: as for login)')
    .option('--json', 'print JSON, as the gateway answers')
    .addHelpText('after', examples('sallyport whoami', 'sallyport whoami --json'))
    .action(
      action(async (options: { readonly gateway?: string; readonly json?: boolean }) => {
        const credentials = openCredentials(configFolder(io.env));
        const url = trustedGateway(options, io, credentials);
        const entry = await freshToken({ credentials, gateway: url, minValidityMs });
        const who = await askWhoami({ name: 'The gateway', url }, entry.token);
        const good = `good for ${span(entry.expiresAtMs - Date.now())}`;
        const token = entry.refreshToken === undefined ? good : `${good}, then renewed`;
        io.stdout.write(options.json ? `${JSON.stringify(who, null, 2)}\n` : whoamiText(who, url, [['Token', token]]));
        return 0;
      }),
    );
};
