/** The parts that are made from files before anything listens: models, policies, identity, detectors. */
import { resolve } from 'node:path';
import { type Config, shownPath } from '../config.ts';
import { makeKeyFile } from '../envoy/plan-keys.ts';
import { createPresidio } from '../guard/presidio.ts';
import type { PresidioConfig } from '../guard/presidio-config.ts';
import { meshProvider } from '../identity/config.ts';
import type { Limiter } from '../limits/limiter.ts';
import { type Bodies, createBodies } from '../mask/bodies.ts';
import type { MaskingKeys } from '../mask/operators.ts';
import { loadModels } from '../models/load.ts';
import { createRegistry, type Registry } from '../models/registry.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { PolicySet } from '../policy/decision.ts';
import type { PolicySource } from '../policy/source.ts';
import { openState } from '../state/open.ts';
import type { StateStore } from '../state/store.ts';
import { type ContentParts, openContent } from './content.ts';
import { openDetectors } from './detectors.ts';
import { type IdentityParts, openIdentity } from './identity.ts';
import { openLimits } from './limits.ts';
import { ownMaskingKey, readMaskingKeys } from './masking-keys.ts';
import { type OpenedPolicies, openPolicies } from './policies.ts';
import { GatewayRefused } from './refused.ts';
import { nowMs } from './request.ts';
import { secretReader } from './secrets.ts';

export interface Parts {
  readonly models: Registry;
  readonly policies: PolicySource;
  /** Puts the policies on the record and renews them from then on. */
  readonly startPolicies: OpenedPolicies['start'];
  readonly identity: IdentityParts;
  readonly bodies: Bodies;
  /** Control state: replay lists, revocations, keys that replicas publish, sign-ins under way. */
  readonly state: StateStore;
  readonly content: ContentParts;
  readonly limiter: Limiter;
  close(): Promise<void>;
}

interface Placed {
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly file?: string;
  readonly path?: string;
}

/** `  file:line:column path: message`, a line each; `file` of a problem is relative to `base`. */
const listed = (base: string, problems: readonly Placed[]): string =>
  problems
    .map((problem) => {
      const what = problem.path === undefined || problem.path === '' ? '' : `${problem.path}: `;
      const file = shownPath(resolve(base, problem.file ?? ''));
      return `  ${file}:${problem.line}:${problem.column} ${what}${problem.message}`;
    })
    .join('\n');

/** What rules may name of the configuration. */
export function namesIn({ filters, guards, identity }: Pick<Config, 'filters' | 'guards' | 'identity'>) {
  const names = (all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => name);
  const providers = [...names(identity.providers), ...names(identity.saml), meshProvider];
  return { filters: names(filters), guards: names(guards), providers, teams: names(identity.teams) };
}

async function maskingKeysOf(config: Config, env: Readonly<Record<string, string | undefined>>): Promise<MaskingKeys> {
  if (config.masking.key === undefined) makeKeyFile(ownMaskingKey(config));
  const keys = await readMaskingKeys(config, secretReader(env)).catch((error: unknown) => {
    throw new GatewayRefused(`${shownPath(config.file)}: ${error instanceof Error ? error.message : String(error)}.`);
  });
  return keys[0];
}

export async function loadParts(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  log: Log,
  metrics: Metrics,
): Promise<Parts> {
  const loaded = await loadModels(config.models.file, env);
  if (!loaded.ok)
    throw new GatewayRefused(`the registry of models is wrong:\n${listed(config.models.file, loaded.problems)}`);
  const { models } = loaded;
  const opened = await openDetectors(config, secretReader(env));
  if (!opened.ok) throw new GatewayRefused(`detectors of the configuration are wrong:\n${opened.problems}`);
  const { all: known, resolve: resolveDetectors } = opened.detectors;
  const recordDetect = resolveDetectors(config.record.detect);
  if (!recordDetect.ok) throw new GatewayRefused(`${shownPath(config.file)}: record.detect: ${recordDetect.problem}`);
  const maskingKeys = await maskingKeysOf(config, env);
  const { evaluationBudget } = config.policies;
  const compile = { models, resolveDetectors, detected: recordDetect.ids, evaluationBudget, ...namesIn(config) };
  let bodies: Bodies | undefined;
  const prepare = async (set: PolicySet): Promise<void> => bodies?.prepare(set.maskings());
  const policies = await openPolicies({ config, environment: env, log, compile, prepare });
  const parts: { close(): Promise<void> }[] = [];
  const closeAll = async (): Promise<void> => {
    for (const part of parts.toReversed()) await part.close();
  };
  const kept = <T extends { close(): Promise<void> }>(part: T): T => {
    parts.push(part);
    return part;
  };
  try {
    const content = kept(await openContent({ config, environment: env, log, metrics }));
    const finder = config.names && kept(presidioOf(config.names, metrics));
    const state = kept(await openState(config.state, { environment: env, now: nowMs }));
    const limiter = kept(await openLimits(config, env, metrics));
    const identity = kept(await openIdentity(config, { state, environment: env, log, models, now: nowMs }));
    bodies = createBodies(recordDetect.ids, {
      keys: maskingKeys,
      known,
      ...(finder && { finder }),
      maxJsonBytes: config.masking.json.maxBytes,
      beyondJson: config.masking.json.beyond,
    });
    await prepare(policies.source.current);
    return {
      models: createRegistry(models),
      policies: policies.source,
      startPolicies: policies.start,
      identity,
      bodies,
      state,
      content,
      limiter,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

const presidioOf = (config: PresidioConfig, metrics: Metrics) =>
  createPresidio(config, { asked: (outcome, ms) => metrics.guard('presidio', outcome, 'asked', ms) });
