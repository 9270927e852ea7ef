import { statSync } from 'node:fs';
import type { Config } from '../config.ts';
import { envoyVersion } from '../envoy/launch.ts';
import { type AddCommand, CliError, examples, exitCodes } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { envoyBinary } from './envoy-binary.ts';
import { modelsOf } from './models-file.ts';
import { table } from './text.ts';

/** What one look found. `warning` is worth knowing and no fault. */
interface Diagnosis {
  readonly what: string;
  readonly result: 'ok' | 'warning' | 'fault';
  readonly detail: string;
}

/** Where a model can be called directly, around the gateway. */
interface DirectModel {
  readonly name: string;
  readonly url: string;
}

const requestTimeoutMs = 5_000;

/** `sallyport doctor`: looks at each part; exit code 1 when one has a fault. */
export const doctorCommand: AddCommand = ({ command, io, action }) => {
  withConfig(command.command('doctor'))
    .description('look at each part: tools, state folder, identity providers, the gateway, and ways around it')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('sallyport doctor', 'sallyport doctor --json'))
    .action(
      action(async (options: ConfigOption & { readonly json?: boolean }) => {
        const config = configOf(options, io);
        const found = await examine(config, io.env, await directModels(config));
        const isWell = found.every(({ result }) => result !== 'fault');
        if (options.json) io.stdout.write(`${JSON.stringify({ ok: isWell, found }, null, 2)}\n`);
        else io.stdout.write(diagnosisTable(found));
        return isWell ? exitCodes.ok : exitCodes.failed;
      }),
    );
};

async function directModels(config: Config): Promise<DirectModel[]> {
  const models = await modelsOf(config);
  return models.map(({ name, upstream: { host, port, tls } }) => ({
    name,
    url: `http${tls ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${port}`,
  }));
}

/** Looks at everything at once; order is that of the path of a request. */
async function examine(
  config: Config,
  env: NodeJS.ProcessEnv,
  models: readonly DirectModel[],
): Promise<readonly Diagnosis[]> {
  const found = await Promise.all([
    envoy(config, env),
    stateFolder(config),
    ...config.identity.providers.map(({ name, issuer }) => provider(name, issuer)),
    gateway(config),
    ...models.map(wayAround),
  ]);
  return found.flat();
}

async function envoy(config: Config, env: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const what = 'Envoy';
  try {
    const binary = envoyBinary(config, env);
    const version = await envoyVersion(binary);
    if (version === undefined) return { what, result: 'fault', detail: `${binary} does not run here, or is not Envoy` };
    const minor = /^1\.(\d+)\./.exec(version)?.[1];
    if (Number(minor) >= 36 && Number(minor) <= 40) return { what, result: 'ok', detail: `${version}, ${binary}` };
    return { what, result: 'fault', detail: `${version} at ${binary}: supported are 1.36 to 1.40` };
  } catch (error) {
    if (error instanceof CliError)
      return { what, result: 'warning', detail: `${error.message} Needed for \`up\` only.` };
    throw error;
  }
}

function stateFolder({ stateDir }: Config): Diagnosis {
  const what = 'State folder';
  const found = statSync(stateDir, { throwIfNoEntry: false });
  if (found === undefined)
    return { what, result: 'ok', detail: `${stateDir} does not exist yet; the first start makes it` };
  if (!found.isDirectory()) return { what, result: 'fault', detail: `${stateDir} is not a folder` };
  const open = found.mode & 0o077;
  if (open !== 0)
    return {
      what,
      result: 'fault',
      detail: `${stateDir} is open to others (mode ${(found.mode & 0o777).toString(8)}): chmod 700`,
    };
  return { what, result: 'ok', detail: stateDir };
}

async function provider(name: string, issuer: string): Promise<Diagnosis> {
  const what = `Provider ${name}`;
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(requestTimeoutMs) });
    const document = (await response.json()) as { issuer?: unknown };
    if (document.issuer === issuer) return { what, result: 'ok', detail: issuer };
    return { what, result: 'fault', detail: `${url} says that it is another issuer` };
  } catch (error) {
    return { what, result: 'fault', detail: `${url} gives no discovery document (${reason(error)})` };
  }
}

/** The gateway as it says of itself, and its journal and store. */
async function gateway(config: Config): Promise<readonly Diagnosis[]> {
  const what = 'Gateway';
  const { host, port } = config.listen.internal;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/readyz`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(requestTimeoutMs) });
    const body = (await response.json()) as { status?: unknown; reasons?: unknown; parts?: unknown };
    const isReady = response.ok && body.status === 'ready';
    const why = Array.isArray(body.reasons) ? body.reasons.join('; ') : response.status;
    return [
      { what, result: isReady ? 'ok' : 'fault', detail: isReady ? 'ready' : `not ready: ${why}` },
      ...part('Journal', body.parts, 'journal'),
      ...part('Store', body.parts, 'store'),
      ...part('Control state', body.parts, 'state'),
      ...part('Keys of providers', body.parts, 'keys'),
      ...part('SAML', body.parts, 'saml'),
    ];
  } catch (error) {
    return [{ what, result: 'warning', detail: `not running (${url}: ${reason(error)})` }];
  }
}

/** One part of `/readyz`; none where the gateway does not speak of it. */
function part(what: string, parts: unknown, name: string): readonly Diagnosis[] {
  const status = (parts as Readonly<Record<string, unknown>> | undefined)?.[name];
  if (typeof status !== 'object' || status === null) return [];
  const { ready, detail, reason } = status as { ready?: unknown; detail?: unknown; reason?: unknown };
  return [
    ready === true
      ? { what, result: 'ok', detail: String(detail ?? 'ready') }
      : { what, result: 'fault', detail: String(reason ?? 'not ready') },
  ];
}

/** Calls a model directly, without a credential: if it answers, whoever reaches it needs no gateway. */
async function wayAround({ name, url }: DirectModel): Promise<Diagnosis> {
  const what = `Way around to ${name}`;
  try {
    const response = await fetch(`${url}/v1/models`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    await response.body?.cancel();
    if (response.status === 401 || response.status === 403)
      return { what, result: 'ok', detail: `${url} wants its own credential` };
    const detail = `${url} answers (${response.status}) without a credential: close it to all but Envoy (NetworkPolicy, AuthorizationPolicy, or a credential)`;
    return { what, result: 'fault', detail };
  } catch (error) {
    return { what, result: 'ok', detail: `${url} cannot be reached from here (${reason(error)})` };
  }
}

/** Why a fetch failed, as a code: messages may quote what the other side sent. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error.name === 'TimeoutError') return `no answer in ${requestTimeoutMs / 1_000} s`;
  const cause = error.cause;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.name;
}

const signs = { ok: '✓', warning: '!', fault: '✗' } as const;

const diagnosisTable = (found: readonly Diagnosis[]) =>
  table(
    [{ title: '' }, { title: 'WHAT', shrinkTo: 16 }, { title: 'FOUND' }],
    found.map(({ what, result, detail }) => [signs[result], what, detail]),
    Number.POSITIVE_INFINITY,
  );
