import { readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import { type AddCommand, CliError, examples, exitCodes, oneOf, type Program } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { table } from './text.ts';

const targets = ['standalone', 'istio', 'envoy-gateway'] as const;
export type EnvoyTarget = (typeof targets)[number];

/** What an operator gives Envoy, as YAML. */
export type PrintEnvoy = (config: Config, target: EnvoyTarget) => string | Promise<string>;

/** One setting of an Envoy configuration that opens the gate or weakens it. */
export interface EnvoyFinding {
  readonly severity: 'open' | 'warning';
  /** Path in the file, such as `static_resources.listeners[0]…`. */
  readonly path: string;
  readonly message: string;
}

/** Reads a YAML or JSON text and names every setting that opens the gate. Throws an Error for one that cannot be read. */
export type CheckEnvoy = (
  text: string,
  config: Config | undefined,
) => readonly EnvoyFinding[] | Promise<readonly EnvoyFinding[]>;

/** `sallyport envoy print|check`. */
export const envoyCommand =
  (functions: { readonly print?: PrintEnvoy; readonly check?: CheckEnvoy }): AddCommand =>
  (program) => {
    const envoy = program.command
      .command('envoy')
      .description('what to give Envoy, and whether a given configuration holds');
    if (functions.print !== undefined) addPrint(program, envoy, functions.print);
    if (functions.check !== undefined) addCheck(program, envoy, functions.check);
  };

function addPrint({ io, action }: Program, envoy: Program['command'], print: PrintEnvoy): void {
  withConfig(envoy.command('print'))
    .description('print the Envoy configuration for this gateway')
    .requiredOption('--for <target>', targets.join(', '), oneOf(...targets))
    .addHelpText(
      'after',
      examples(
        'sallyport envoy print --for standalone > envoy.yaml',
        'sallyport envoy print --for istio | kubectl apply -f -',
      ),
    )
    .action(
      action(async (options: ConfigOption & { readonly for: EnvoyTarget }) => {
        const text = await print(configOf(options, io), options.for);
        io.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
        return 0;
      }),
    );
}

function addCheck({ io, action }: Program, envoy: Program['command'], check: CheckEnvoy): void {
  envoy
    .command('check')
    .description('name every setting in an Envoy configuration that opens the gate; exit code 1 if there is one')
    .argument('<file>', 'YAML or JSON; - reads stdin')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('sallyport envoy check envoy.yaml', 'sallyport envoy print --for standalone | sallyport envoy check -'),
    )
    .action(
      action(async (file: string, options: { readonly json?: boolean }) => {
        const findings = await read(file, check);
        const isOpen = findings.some(({ severity }) => severity === 'open');
        if (options.json) io.stdout.write(`${JSON.stringify({ ok: !isOpen, findings }, null, 2)}\n`);
        else if (findings.length === 0) io.stdout.write('Nothing in it opens the gate.\n');
        else io.stdout.write(findingsTable(findings, io.stdout.columns ?? 160));
        return isOpen ? exitCodes.failed : exitCodes.ok;
      }),
    );
}

async function read(file: string, check: CheckEnvoy): Promise<readonly EnvoyFinding[]> {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(
      exitCodes.usage,
      `${file} cannot be read (${code}).`,
      'Name an Envoy configuration file, or - for stdin.',
      error,
    );
  }
  try {
    return await check(text, undefined);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown';
    throw new CliError(
      exitCodes.usage,
      `${file} is not an Envoy configuration: ${why}`,
      'Give it the YAML or JSON that Envoy gets.',
      error,
    );
  }
}

const findingsTable = (findings: readonly EnvoyFinding[], columns: number) =>
  table(
    [{ title: 'SEVERITY' }, { title: 'WHERE', shrinkTo: 30 }, { title: 'WHAT' }],
    findings.map(({ severity, path, message }) => [severity, path, message]),
    columns,
  );
