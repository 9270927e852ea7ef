import type { RunningGateway, StartGateway } from '../gateway/running.ts';
import { createLog } from '../observe/log.ts';
import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { takeSignals, untilStopped } from './lifetime.ts';

/** `sallyport serve`: the gateway for an Envoy that is already there. */
export const serveCommand =
  (start: StartGateway): AddCommand =>
  ({ command, io, action }) => {
    withConfig(command.command('serve'))
      .description('run the gateway for an existing Envoy (`sallyport envoy print` shows what to give it)')
      .addHelpText('after', examples('sallyport serve --config /etc/sallyport/sallyport.yaml'))
      .action(
        action(async (options: ConfigOption) => {
          const config = configOf(options, io);
          const log = createLog({ level: config.log.level, target: io.stderr });
          const onProgress = (done: string) => log.info('part is up', { part: done });
          const signals = takeSignals(io);
          // Until it is up, there is nothing to load again.
          signals.onHangup(() => {});
          try {
            const gateway = await started(start(config, { log, onProgress }));
            signals.onHangup(() => void gateway.reload());
            return await untilStopped(io, signals, gateway);
          } finally {
            signals.release();
          }
        }),
      );
  };

/** Turns the failure of a start into an error of the CLI. */
export async function started(starting: Promise<RunningGateway>): Promise<RunningGateway> {
  try {
    return await starting;
  } catch (error) {
    if (error instanceof CliError) throw error;
    const remedy =
      error instanceof Error && 'remedy' in error && typeof error.remedy === 'string' ? error.remedy : undefined;
    // What is wrong in its files is wrong configuration; a port that is taken is not.
    const isRefusal = error instanceof Error && 'code' in error && error.code === 'gateway_refused';
    throw new CliError(
      isRefusal ? exitCodes.usage : exitCodes.failed,
      `The gateway did not start: ${error instanceof Error ? error.message : String(error)}`,
      remedy ?? '`sallyport doctor` looks at each part.',
      error,
    );
  }
}
