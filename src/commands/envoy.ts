import { readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import type { EnvoyCheck, Finding } from '../envoy/check.ts';
import { type AddCommand, CliError, examples, exitCodes, oneOf, type Program } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { escapeControls } from './text.ts';

const targets = ['standalone', 'istio', 'envoy-gateway'] as const;
export type EnvoyTarget = (typeof targets)[number];

/** What an operator gives Envoy, as YAML. */
export type PrintEnvoy = (config: Config, target: EnvoyTarget) => string | Promise<string>;

/** Reads a YAML or JSON text and names every setting that opens or breaks the gate. */
export type CheckEnvoy = (text: string) => EnvoyCheck | Promise<EnvoyCheck>;

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
    .description(
      'name every setting in an Envoy configuration that opens or breaks the gate; exit code 1 if there is one',
    )
    .argument(
      '<file>',
      'Envoy bootstrap, config_dump, or objects of Istio or Envoy Gateway (YAML or JSON); - reads stdin',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport envoy check envoy.yaml',
        'sallyport envoy print --for standalone | sallyport envoy check -',
        'curl -s localhost:15000/config_dump | sallyport envoy check -',
      ),
    )
    .action(
      action(async (file: string, options: { readonly json?: boolean }) => {
        const findings = await read(file, check);
        const ok = findings.every(({ severity }) => severity === 'advice');
        if (options.json) io.stdout.write(`${JSON.stringify({ ok, findings }, null, 2)}\n`);
        else io.stdout.write(findings.length === 0 ? 'Nothing in it opens or breaks the gate.\n' : listed(findings));
        return ok ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

async function read(file: string, check: CheckEnvoy): Promise<readonly Finding[]> {
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
  const checked = await check(text);
  if ('findings' in checked) return checked.findings;
  throw new CliError(
    exitCodes.usage,
    `${file} cannot be checked: ${checked.error}.`,
    'Give it what Envoy gets, what its /config_dump says, or the objects that you apply.',
  );
}

/** One paragraph a finding; values come from the file, so they are escaped. */
function listed(findings: readonly Finding[]): string {
  return findings
    .map(({ severity, path, line, is, shouldBe, why }) => {
      const where = line === undefined ? path : `${path} (line ${line})`;
      return escapeControls(`${severity}: ${where}\n  is ${is}; should be ${shouldBe}\n  ${why}\n`, {
        keepNewlines: true,
      });
    })
    .join('\n');
}
