import { join } from 'node:path';
import type { RunningGateway, StartGateway } from '../gateway/running.ts';
import { createLog } from '../observe/log.ts';
import { type AddCommand, examples } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { screen } from './demo/screen.ts';
import { envoyBinary } from './envoy-binary.ts';
import { takeSignals, untilStopped } from './lifetime.ts';
import { createProgress } from './progress.ts';
import { started } from './serve.ts';

/** `sallyport up [--demo]`: Envoy and the gateway on this machine. */
export const upCommand =
  (start: StartGateway): AddCommand =>
  ({ command, io, action }) => {
    withConfig(command.command('up'))
      .description('run the whole gateway on this machine, Envoy included')
      .option('--demo', 'with an OpenID provider (jane, sam) and a scripted model to try it on')
      .addHelpText('after', examples('sallyport up --demo', 'sallyport up --config sallyport.yaml'))
      .action(
        action(async (options: ConfigOption & { readonly demo?: boolean }) => {
          const config = configOf(options, io);
          const envoyBin = envoyBinary(config, io.env);
          const progress = createProgress(io);
          const logFile = join(config.stateDir, 'sallyport.log');
          const log = createLog({ level: config.log.level, target: options.demo ? { file: logFile } : io.stderr });
          const signals = takeSignals(io);
          let demo: { close(): Promise<void> } | undefined;
          try {
            if (options.demo) demo = await (await import('./demo/demo.ts')).startDemo(config, progress);
            const gateway = await started(start(config, { log, envoyBin, onProgress: progress.tick }));
            // In a terminal, SIGHUP says that it was closed.
            if (io.stdin?.isTTY !== true) signals.onHangup(() => void gateway.reload());
            if (!signals.isStopped())
              io.stdout.write(options.demo ? screen(gateway.addresses, logFile) : addressLine(gateway));
            return await untilStopped(io, signals, gateway);
          } finally {
            await demo?.close();
            signals.release();
          }
        }),
      );
  };

const addressLine = ({ addresses }: RunningGateway) => `Sallyport is up: ${Object.values(addresses).join(', ')}\n`;
