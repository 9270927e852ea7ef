/** The parts that are made from files before anything listens: models, policies, identity, detectors. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Config, shownPath } from '../config.ts';
import { selectDetectors, UnknownDetectorError } from '../detect/registry.ts';
import type { Identifier } from '../identity/caller.ts';
import type { ProviderConfig } from '../identity/config.ts';
import { discover, endpointIn } from '../identity/discovery.ts';
import { createGroupsReader } from '../identity/groups/reader.ts';
import { createIdentifier } from '../identity/identifier.ts';
import { providerHttp } from '../identity/provider-http.ts';
import { type Bodies, createBodies } from '../mask/bodies.ts';
import { loadModels } from '../models/load.ts';
import { createRegistry, type Registry } from '../models/registry.ts';
import { loadPolicies } from '../policy/load.ts';
import type { DetectorResolver } from '../policy/rules.ts';
import { openPolicySource, type PolicySource } from '../policy/source.ts';
import { openState } from '../state/open.ts';
import type { StateStore } from '../state/store.ts';
import { nowMs } from './request.ts';

export interface Parts {
  readonly models: Registry;
  readonly policies: PolicySource;
  readonly identifier: Identifier;
  readonly bodies: Bodies;
  /** Control state; nothing on the request's path needs it yet. */
  readonly state: StateStore;
  close(): Promise<void>;
}

/** The gateway does not start: something in its files is wrong. The message is for the operator. */
export class GatewayRefused extends Error {
  override readonly name = 'GatewayRefused';
  readonly code = 'gateway_refused';
  readonly remedy = 'Correct it and start again.';
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

export const resolveDetectors: DetectorResolver = (names) => {
  try {
    return { ok: true, ids: selectDetectors(names).map(({ id }) => id) };
  } catch (error) {
    if (!(error instanceof UnknownDetectorError)) throw error;
    return { ok: false, problem: error.message };
  }
};

export async function loadParts(config: Config, env: Readonly<Record<string, string | undefined>>): Promise<Parts> {
  const loaded = await loadModels(config.models.file, env);
  if (!loaded.ok)
    throw new GatewayRefused(`the registry of models is wrong:\n${listed(config.models.file, loaded.problems)}`);
  const { models } = loaded;
  const policies = await openPolicySource(() =>
    loadPolicies({
      dir: config.policies.dir,
      models,
      resolveDetectors,
      evaluationBudget: config.policies.evaluationBudget,
    }),
  );
  if (!policies.ok)
    throw new GatewayRefused(`the policies are wrong:\n${listed(config.policies.dir, policies.problems)}`);
  const recordDetect = resolveDetectors(config.record.detect);
  if (!recordDetect.ok) throw new GatewayRefused(`${shownPath(config.file)}: record.detect: ${recordDetect.problem}`);
  const state = await openState(config.state, { environment: env, now: nowMs });
  return {
    models: createRegistry(models),
    policies: policies.source,
    identifier: openIdentifier(config, env),
    bodies: createBodies(recordDetect.ids),
    state,
    close: () => state.close(),
  };
}

function openIdentifier(config: Config, env: Readonly<Record<string, string | undefined>>): Identifier {
  const readSecret = async ({ file, env: name = '' }: { file?: string | undefined; env?: string | undefined }) => {
    const secret = file === undefined ? env[name] : await readFile(file, 'utf8');
    if (secret === undefined) throw new Error(`the environment variable ${name} is not set`);
    return secret.replace(/\r?\n$/, '');
  };
  const groupsOf = (provider: ProviderConfig) => {
    const http = providerHttp(provider);
    const userinfoEndpoint = async () => endpointIn(await discover(provider, http), 'userinfo_endpoint');
    return createGroupsReader(provider, { http, now: nowMs, readSecret, userinfoEndpoint });
  };
  return createIdentifier(config.identity, { now: nowMs, httpFor: providerHttp, groupsOf });
}
