import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { detectorsSection } from './detect/config.ts';
import { drainTimeout, listenSection, maxRequestBytes, planKeyFiles } from './envoy/config.ts';
import { filtersSection, guardsSection } from './guard/config.ts';
import { namesSection } from './guard/presidio-config.ts';
import { identitySection } from './identity/config.ts';
import { limitsSection } from './limits/config.ts';
import { maskingSection } from './mask/config.ts';
import { modelsSection } from './models/config.ts';
import { logLevels } from './observe/log.ts';
import { policiesSection } from './policy/config.ts';
import { recordConfig } from './record/config.ts';
import { stateSection } from './state/config.ts';
import { storeConfig } from './store/config.ts';
import { type Problem, readYaml } from './strict-yaml.ts';

/** Each module's own section. Unknown keys are refused at every level. */
const sections = z.strictObject({
  stateDir: z
    .string()
    .min(1)
    .default('.sallyport')
    .describe('Folder for journal, store, control state and sockets. Relative to this file. Made with mode 0700.'),
  publicUrl: z
    .url({ protocol: /^https?$/ })
    .default('http://127.0.0.1:9190')
    .describe(
      'How people and programs reach the public listener; also `iss` of the tokens that the gateway issues. No slash at its end.',
    ),
  modelsUrl: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'How callers reach the models through Envoy, told to `sallyport login` and `sallyport proxy`. Default: `listen.envoy`, where `sallyport up` runs Envoy.',
    ),
  identity: identitySection,
  models: modelsSection.prefault({}),
  policies: policiesSection.prefault({}),
  detectors: detectorsSection.describe(
    'Detectors of your own, beside those that are built in. See [own-detectors.md](own-detectors.md).',
  ),
  names: namesSection
    .optional()
    .describe(
      'Names of people, places and organisations. Default: nobody looks for them. See [detectors.md](detectors.md#names).',
    ),
  filters: filtersSection.describe(
    'Content filters: word lists and patterns that rules ask for. See [content-checks.md](content-checks.md).',
  ),
  guards: guardsSection.describe('External classifiers that rules ask. See [content-checks.md](content-checks.md).'),
  state: stateSection.prefault({}),
  limits: limitsSection.prefault({}),
  record: recordConfig.prefault({}),
  store: storeConfig,
  masking: maskingSection.prefault({}),
  planKeyFiles,
  listen: listenSection.prefault({}),
  log: z
    .strictObject({ level: z.enum(logLevels).default('info').describe('Least severe level that is written.') })
    .prefault({}),
  maxRequestBytes: maxRequestBytes.describe('Largest request body in bytes; over it callers get 413.'),
  drainTimeout: drainTimeout.describe('How long live streams may go on after SIGTERM.'),
});

/** The whole of sallyport.yaml. */
export const configSchema = sections.refine(
  ({ limits, state }) => limits.store !== 'redis' || state.engine === 'redis',
  {
    message: 'needs state.engine: redis',
    path: ['limits', 'store'],
  },
);

type Sections = z.output<typeof configSchema>;

type DeepReadonly<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** The configuration in force: validated, paths absolute, frozen. */
export type Config = DeepReadonly<
  Sections & {
    /** Absolute path of the file it came from. */
    file: string;
    /** The Envoy that `up` runs, from ENVOY_BIN. */
    envoyBin: string | undefined;
  }
>;

export type LoadedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** The process environment, read here and nowhere else. */
export const environment = (): NodeJS.ProcessEnv => process.env;

/**
 * Loads sallyport.yaml. Never throws for what is wrong with the file: every problem is listed with its path, line and
 * column (from 1).
 */
export function loadConfig(path: string, env: NodeJS.ProcessEnv): LoadedConfig {
  const file = resolve(path);
  const text = readText(file);
  if (typeof text !== 'string') return { ok: false, problems: [text] };
  const read = readYaml(text, configSchema);
  if (!read.ok) return read;
  const config = withPaths(read.value, dirname(file));
  return { ok: true, config: freeze({ ...config, file, envoyBin: env['ENVOY_BIN'] || undefined }) };
}

function readText(file: string): string | Problem {
  const problem = (message: string): Problem => ({ path: '', line: 1, column: 1, message });
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return problem(code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return problem('is not UTF-8');
  }
}

/** Makes every path absolute: relative to the config file; what is state, relative to the state folder. */
function withPaths(sections: Sections, folder: string): Sections {
  const stateDir = resolve(folder, sections.stateDir);
  const { grpc, tls } = sections.listen;
  const { journal } = sections.record;
  return {
    ...sections,
    stateDir,
    identity: identityPaths(sections.identity, folder),
    models: { ...sections.models, file: resolve(folder, sections.models.file) },
    policies: policyPaths(sections.policies, folder),
    detectors: detectorPaths(sections.detectors, folder),
    ...contentPaths(sections, folder),
    state: statePaths(sections.state, folder, stateDir),
    record: { ...sections.record, journal: { ...journal, dir: resolve(stateDir, journal.dir) } },
    store: storePaths(sections.store, folder, stateDir),
    masking: maskingPaths(sections.masking, folder),
    ...(sections.planKeyFiles && { planKeyFiles: sections.planKeyFiles.map((file) => resolve(folder, file)) }),
    listen: {
      ...sections.listen,
      grpc: grpc.kind === 'unix' ? { kind: 'unix', path: resolve(stateDir, grpc.path) } : grpc,
      ...(tls && {
        tls: {
          ...tls,
          cert: resolve(folder, tls.cert),
          key: resolve(folder, tls.key),
          clientCa: resolve(folder, tls.clientCa),
        },
      }),
    },
  };
}

function identityPaths(identity: Sections['identity'], folder: string): Sections['identity'] {
  const at = <K extends string>(object: { readonly [key in K]?: string | undefined }, ...names: readonly K[]) =>
    Object.fromEntries(
      names.flatMap((name) => (object[name] === undefined ? [] : [[name, resolve(folder, object[name])]])),
    );
  return {
    ...identity,
    providers: identity.providers.map((provider) => {
      const { keys, groups, login } = provider;
      const { graph, google } = groups;
      return {
        ...provider,
        keys: { ...keys, ...at(keys, 'file', 'caFile', 'bearerTokenFile') },
        groups: {
          ...groups,
          ...(graph && {
            graph: { ...graph, clientSecret: { ...graph.clientSecret, ...at(graph.clientSecret, 'file') } },
          }),
          ...(google && { google: { ...google, ...at(google, 'serviceAccountFile') } }),
        },
        ...(login?.clientSecret && {
          login: { ...login, clientSecret: { ...login.clientSecret, ...at(login.clientSecret, 'file') } },
        }),
      };
    }),
    saml: identity.saml.map((saml) => ({
      ...saml,
      idp: { ...saml.idp, ...at(saml.idp, 'metadataFile') },
      ...at(saml, 'decryptionKeyFile', 'decryptionCertFile'),
    })),
  };
}

function detectorPaths(detectors: Sections['detectors'], folder: string): Sections['detectors'] {
  const at = (file: string): string => resolve(folder, file);
  return detectors.map(({ values, ...own }) => ({
    ...own,
    wordFiles: own.wordFiles.map(at),
    ...(values && {
      values: { ...values, file: at(values.file), ...(values.keyFile && { keyFile: at(values.keyFile) }) },
    }),
  }));
}

function contentPaths({ filters, guards }: Sections, folder: string): Pick<Sections, 'filters' | 'guards'> {
  const at = (file: string): string => resolve(folder, file);
  return {
    filters: filters.map((filter) => ({
      ...filter,
      wordFiles: filter.wordFiles.map(at),
      patternFiles: filter.patternFiles.map(at),
    })),
    guards: guards.map(({ credential, caFile, ...guard }) => ({
      ...guard,
      ...(caFile && { caFile: at(caFile) }),
      ...(credential && { credential: { ...credential, ...(credential.file && { file: at(credential.file) }) } }),
    })),
  };
}

/** The path of a local repository is made absolute, too; a URL is left as it is. */
function policyPaths(policies: Sections['policies'], folder: string): Sections['policies'] {
  const dir = resolve(folder, policies.dir);
  if (policies.git === undefined) return { ...policies, dir };
  const { git } = policies;
  const { allowedSigners, caFile, credential } = git;
  return {
    ...policies,
    dir,
    git: {
      ...git,
      url: /^[a-z][a-z0-9+.-]*:\/\//i.test(git.url) ? git.url : resolve(folder, git.url),
      ...(allowedSigners && { allowedSigners: resolve(folder, allowedSigners) }),
      ...(caFile && { caFile: resolve(folder, caFile) }),
      ...(credential && {
        credential: { ...credential, ...(credential.file && { file: resolve(folder, credential.file) }) },
      }),
    },
  };
}

function maskingPaths(masking: Sections['masking'], folder: string): Sections['masking'] {
  const at = (secret: NonNullable<Sections['masking']['key']>) => ({
    ...secret,
    ...(secret.file && { file: resolve(folder, secret.file) }),
  });
  const { key, previousKey } = masking;
  return { ...masking, ...(key && { key: at(key) }), ...(previousKey && { previousKey: at(previousKey) }) };
}

function statePaths(state: Sections['state'], folder: string, stateDir: string): Sections['state'] {
  if (state.engine === 'sqlite') return { ...state, file: resolve(stateDir, state.file) };
  const { passwordFile, caFile } = state;
  return {
    ...state,
    ...(passwordFile && { passwordFile: resolve(folder, passwordFile) }),
    ...(caFile && { caFile: resolve(folder, caFile) }),
  };
}

function storePaths(store: Sections['store'], folder: string, stateDir: string): Sections['store'] {
  if (store.engine === 'embedded') return { ...store, dir: resolve(stateDir, store.dir) };
  const { passwordFile, caFile, certFile, keyFile } = store;
  return {
    ...store,
    ...(passwordFile && { passwordFile: resolve(folder, passwordFile) }),
    ...(caFile && { caFile: resolve(folder, caFile) }),
    ...(certFile && { certFile: resolve(folder, certFile) }),
    ...(keyFile && { keyFile: resolve(folder, keyFile) }),
  };
}

/**
 * Whether other processes may answer for our sessions, and we for theirs: Envoy may ask one gateway for the yes and another
 * for the stream where they share plan keys. Then a session belongs to the process that took its stream, which alone ends
 * it on the record. The one that said yes cannot know whether the stream came, so it writes no `not_dispatched`, nor an
 * `unknown` for it after a restart: a yes that no process took up stays without an end, and reads as `unknown` a day later.
 */
export const sharesSessions = (config: Pick<Config, 'planKeyFiles'>): boolean => config.planKeyFiles !== undefined;

/** A path as it is shown in a complaint: relative where it is below the current folder, else absolute. */
export function shownPath(path: string): string {
  const absolute = resolve(path);
  const below = relative(process.cwd(), absolute);
  return below === '' || below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below) ? absolute : below;
}

/** Unix socket of the gateway's admin API. */
export const adminSocket = (config: Pick<Config, 'stateDir'>): string => join(config.stateDir, 'admin.sock');

function freeze<T>(value: T): DeepReadonly<T> {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value as DeepReadonly<T>;
}
