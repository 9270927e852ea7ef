import { join } from 'node:path';
import { Option } from 'commander';
import { type AddCommand, CliError, examples, exitCodes, type Io, wholeNumber } from './cli.ts';
import { takeSignals } from './lifetime.ts';
import { openCredentials } from './login/credentials.ts';
import { freshToken } from './login/fresh.ts';
import { isSafe, readGateway, trustedGateway } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';
import { localKey } from './proxy/key.ts';
import { type RunningProxy, startProxy } from './proxy/server.ts';
import { escapeControls } from './text.ts';

/** A token is renewed this long before it expires, milliseconds: a request may wait for an approval before the gate looks again. */
const minValidityMs = 60_000;

interface Options {
  readonly gateway?: string;
  readonly port: number;
  readonly keyFile?: string;
}

/** `sallyport proxy`: a local address for tools that take a base URL and a fixed key, and cannot renew a token. */
export const proxyCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('proxy')
    .description('a local address and a fixed key for tools that cannot renew a token')
    .option('-g, --gateway <url>', 'publicUrl of the gateway (default: as for login)')
    .addOption(new Option('--port <n>', 'port on 127.0.0.1; 0: any').argParser(wholeNumber(0, 65_535)).default(8787))
    .option('--key-file <file>', "where the local key is kept (default: proxy-key in sallyport's config folder)")
    .addHelpText('after', examples('sallyport proxy', 'sallyport proxy --port 9999'))
    .action(
      action(async (options: Options) => {
        const folder = configFolder(io.env);
        const credentials = openCredentials(folder);
        const gateway = await readGateway(trustedGateway(options, io, credentials));
        const modelsUrl = gateway.modelsUrl ?? '';
        if (!isSafe(modelsUrl))
          throw new CliError(
            exitCodes.failed,
            `The gateway names no https address of its models (${modelsUrl || 'none'}).`,
            'Whoever runs it must set modelsUrl in sallyport.yaml.',
          );
        const fresh = (refused?: string) =>
          freshToken({
            credentials,
            gateway: gateway.url,
            minValidityMs,
            orValidMs: 2_000,
            ...(refused && { refused }),
          });
        // Whoever is not signed in learns it now, not from their tool.
        await fresh();
        const key = localKey(options.keyFile ?? join(folder, 'proxy-key'));
        const say = (text: string) => void io.stderr.write(`${escapeControls(text, { keepNewlines: true })}\n`);
        const token = async (refused?: string) => (await fresh(refused)).token;
        const signals = takeSignals(io);
        try {
          const proxy = await startProxy({ port: options.port, key, modelsUrl, token, say });
          io.stdout.write(escapeControls(screen(proxy.url, key, modelsUrl), { keepNewlines: true }));
          await signals.stopped;
          await drained(proxy, io);
          return 0;
        } finally {
          signals.release();
        }
      }),
    );
};

async function drained(proxy: RunningProxy, io: Io): Promise<void> {
  await proxy.drain();
  io.stderr.write('Stopped.\n');
}

const screen = (url: string, key: string, modelsUrl: string) => `${url} leads to ${modelsUrl}, as you. Ctrl-C stops it.

  OPENAI_BASE_URL=${url}/v1
  OPENAI_API_KEY=${key}

  ANTHROPIC_BASE_URL=${url}
  ANTHROPIC_AUTH_TOKEN=${key}

Whoever has this key can act as you, on this machine, while this runs.
`;
