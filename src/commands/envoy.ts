import { readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import { type CheckOptions, checkEnvoyConfig, type Finding } from '../envoy/check.ts';
import { defaultPrintOptions, type MeshOptions, type PrintOptions } from '../envoy/print/options.ts';
import { type PrintTarget, printEnvoy, printTargets } from '../envoy/print.ts';
import { APPROVALS_WAIT_S, frontOptions, verifiedByEnvoy } from '../gateway/front.ts';
import { type AddCommand, CliError, examples, exitCodes, oneOf, type Program } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { modelsOf } from './models-file.ts';
import { escapeControls } from './text.ts';

interface PrintFlags extends ConfigOption {
  readonly for: PrintTarget;
  readonly context?: MeshOptions['context'];
  readonly domain?: string;
  readonly trustDomain?: string;
  readonly proxyNamespace?: string;
  readonly gateway?: string;
  readonly certs?: string;
}

/** `sallyport envoy print|check`. */
export const envoyCommand: AddCommand = (program) => {
  const envoy = program.command
    .command('envoy')
    .description('what to give Envoy, and whether a given configuration holds');
  addPrint(program, envoy);
  addCheck(program, envoy);
};

function addPrint({ io, action }: Program, envoy: Program['command']): void {
  withConfig(envoy.command('print'))
    .description('print what to give Envoy, Istio or Envoy Gateway, from this configuration and its models')
    .requiredOption('--for <target>', printTargets.join(', '), oneOf(...printTargets))
    .option(
      '--context <where>',
      'istio: the gates at the ingress gateway, or in the sidecar of each model',
      oneOf('gateway', 'sidecar'),
    )
    .option('--domain <name>', 'mesh: models answer to <model>.<name>')
    .option('--trust-domain <name>', 'mesh: SPIFFE trust domain')
    .option('--proxy-namespace <name>', 'mesh: namespace of the proxy')
    .option('--gateway <name>', 'mesh: name of the Gateway object')
    .option(
      '--certs <folder>',
      'with listen.tls: folder in Envoy’s container with ca.crt, envoy.crt, envoy.key',
      '/certs',
    )
    .addHelpText(
      'after',
      examples(
        'sallyport envoy print --for standalone > envoy.yaml',
        'sallyport envoy print --for istio --context sidecar | kubectl apply -f -',
      ),
    )
    .action(
      action(async (flags: PrintFlags) => {
        const config = configOf(flags, io);
        io.stdout.write(print(flags.for, await printOptions(config, flags)));
        return 0;
      }),
    );
}

function print(target: PrintTarget, options: PrintOptions): string {
  try {
    return printEnvoy(target, options);
  } catch (error) {
    // What a mesh cannot have, such as a model that is no Service; the message names it.
    if (target === 'standalone' || !(error instanceof Error)) throw error;
    const remedy = 'Name Services in models.yaml (llama.models.svc.cluster.local), or print --for standalone.';
    throw new CliError(exitCodes.usage, `This cannot be printed for ${target}: ${error.message}.`, remedy, error);
  }
}

async function printOptions(config: Config, flags: PrintFlags): Promise<PrintOptions> {
  const models = await modelsOf(config);
  const { approvalsWaitS, maxRequestBytes, listen, gates, admin } = frontOptions(config, models);
  const { mesh } = defaultPrintOptions(flags.for === 'envoy-gateway' ? 'envoy-gateway' : 'istio');
  const folder = (flags.certs ?? '').replace(/\/$/, '');
  const files = { caFile: `${folder}/ca.crt`, certFile: `${folder}/envoy.crt`, keyFile: `${folder}/envoy.key` };
  const serverName = `${mesh.gate.service}.${mesh.gate.namespace}.svc`;
  const tls = config.listen.tls === undefined ? undefined : { ...files, serverName };
  return {
    models: models.map(({ name, cluster, upstream }) => ({ name, cluster, upstream })),
    maxRequestBytes,
    approvalsWaitS,
    verifiedByEnvoy: verifiedByEnvoy(config),
    jwtProviders: config.identity.providers
      .filter(({ name }) => config.identity.jwtAuthn.providers.includes(name))
      .map(({ issuer, audience, jwksUri }) => ({ issuer, audiences: [audience].flat(), jwksUri })),
    standalone: { listen, admin, gates: [{ ...gates[0], ...(gates[0].kind === 'tcp' ? { tls } : {}) }] },
    mesh: {
      ...mesh,
      tls,
      context: flags.context ?? mesh.context,
      domain: flags.domain ?? mesh.domain,
      trustDomain: flags.trustDomain ?? mesh.trustDomain,
      proxy: {
        ...mesh.proxy,
        namespace: flags.proxyNamespace ?? mesh.proxy.namespace,
        gateway: flags.gateway ?? mesh.proxy.gateway,
      },
    },
  };
}

function addCheck({ io, action }: Program, envoy: Program['command']): void {
  envoy
    .command('check')
    .description('name every setting that opens or breaks the gate; exit code 1 if there is one')
    .argument('<file>', 'Envoy bootstrap, config_dump, or objects of Istio or Envoy Gateway; - reads stdin')
    .option('-c, --config <file>', 'compare with this configuration instead of the defaults')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport envoy check envoy.yaml',
        'curl -s localhost:15000/config_dump | sallyport envoy check -',
        'sallyport envoy print --for standalone | sallyport envoy check -',
        'sallyport envoy check --config sallyport.yaml config_dump.json',
      ),
    )
    .action(
      action((file: string, options: ConfigOption & { readonly json?: boolean }) => {
        const known = options.config === undefined ? {} : knownOf(configOf(options, io));
        const checked = checkEnvoyConfig(readText(file), known);
        if ('error' in checked)
          throw new CliError(
            exitCodes.usage,
            `${file} cannot be checked: ${checked.error}.`,
            'Give it what Envoy gets: its YAML or JSON, or its config_dump.',
          );
        const { findings } = checked;
        const isBad = findings.some(({ severity }) => severity !== 'advice');
        if (options.json) io.stdout.write(`${JSON.stringify({ ok: !isBad, findings }, null, 2)}\n`);
        else if (findings.length === 0) io.stdout.write('Nothing in it opens or breaks the gate.\n');
        else io.stdout.write(findings.map((finding) => findingText(file, finding)).join('\n'));
        return isBad ? exitCodes.failed : exitCodes.ok;
      }),
    );
}

const knownOf = (config: Config): CheckOptions => ({
  approvalsWaitS: APPROVALS_WAIT_S,
  maxRequestBytes: config.maxRequestBytes,
  verifiedByEnvoy: verifiedByEnvoy(config),
});

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(
      exitCodes.usage,
      `${file} cannot be read (${code}).`,
      'Name an Envoy configuration file, or - for stdin.',
      error,
    );
  }
}

const findingText = (file: string, { severity, path, line, is, shouldBe, why }: Finding) =>
  [
    `${severity.toUpperCase()}  ${escapeControls(line === undefined ? path : `${file}:${line} ${path}`)}`,
    `  is ${escapeControls(is)}, should be ${escapeControls(shouldBe)}`,
    `  ${escapeControls(why)}\n`,
  ].join('\n');
