/** Everything about who calls, put together: providers, groups, SAML, the gateway's own tokens, and what has been taken back. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import { type Config, shownPath } from '../config.ts';
import type { ProviderConfig, SamlConfig } from '../identity/config.ts';
import { discover, endpointIn } from '../identity/discovery.ts';
import type { GroupsReader } from '../identity/groups/groups.ts';
import { hostsOfGroups } from '../identity/groups/hosts.ts';
import { createGroupsReader } from '../identity/groups/reader.ts';
import { createHttp } from '../identity/http.ts';
import { createIdentifier, type TokenIdentifier, takenBack } from '../identity/identifier.ts';
import type { TokenIssuer } from '../identity/issued/issued.ts';
import { IssuedKeysRefused } from '../identity/issued/key-file.ts';
import { openIssuedKeys } from '../identity/issued/keys.ts';
import { createRevocations, type RevocationList } from '../identity/issued/revocations.ts';
import { createTokenIssuer } from '../identity/issued/tokens.ts';
import { providerHttp } from '../identity/provider-http.ts';
import { createExaminer, type Examiner } from '../identity/saml/examiner.ts';
import { createSamlProvider } from '../identity/saml/provider.ts';
import { SamlFileProblem, type SamlProvider } from '../identity/saml/saml.ts';
import { SignIns } from '../identity/sign-in/sign-ins.ts';
import { teamOf } from '../identity/teams.ts';
import type { Model } from '../models/model.ts';
import type { Log } from '../observe/log.ts';
import type { StateStore } from '../state/store.ts';
import { type Chore, chores } from './chores.ts';
import { clockSteps } from './clock-steps.ts';
import { GatewayRefused } from './refused.ts';
import { type ReadSecret, readSecrets, secretReader } from './secrets.ts';

export interface IdentityParts {
  /** Says who calls, at the request gate. */
  readonly identifier: TokenIdentifier;
  readonly issuer: TokenIssuer;
  readonly revocations: RevocationList;
  /** Provider name → what signs people in there; what has been taken back is refused. */
  readonly saml: ReadonlyMap<string, SamlProvider>;
  /** Why people cannot sign in at a SAML provider, as far as is known: name → reason. */
  readonly samlProblems: ReadonlyMap<string, string>;
  readonly signIns: SignIns;
  /** Without a slash at its end. */
  readonly publicUrl: string;
  /** `aud` of the tokens that the gateway issues. */
  readonly audience: string;
  /** Provider name → the (public) client secret of `sallyport login`. */
  readonly loginSecrets: ReadonlyMap<string, string>;
  close(): Promise<void>;
}

export interface IdentityNeeds {
  readonly state: StateStore;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly models: readonly Model[];
  /** Epoch milliseconds. */
  readonly now: () => number;
}

const revocationsEveryMs = 1_000;
const publishedKeysEveryMs = 30_000;
const ownKeysEveryMs = 60_000;
const expiredEveryMs = 10_000;
const samlEveryMs = 30_000;
/** Documents that one round removes: a round is one transaction, and others get their turn between two. */
const expiredAtOnce = 500;
const tidyRounds = 20;

/** Throws GatewayRefused for what is wrong in files. A control state that is out of reach only closes the gate. */
export async function openIdentity(config: Config, needs: IdentityNeeds): Promise<IdentityParts> {
  const { state, now } = needs;
  const publicUrl = config.publicUrl.replace(/\/+$/, '');
  const audience = config.identity.tokens.audience ?? publicUrl;
  refuseOwnAudience(config, needs.models, audience);
  const readSecret = secretReader(needs.environment);
  const loginSecrets = await readSecrets(config, readSecret);
  const { lifetime, keyRotation, revocationMaxAgeSeconds } = config.identity.tokens;
  const keys = await openIssuedKeys({
    file: join(config.stateDir, 'issued-keys.json'),
    state,
    now,
    rotationMs: keyRotation * 1000,
  }).catch((error: unknown) => {
    throw error instanceof IssuedKeysRefused ? new GatewayRefused(error.message) : error;
  });
  const revocations = createRevocations({
    ...{ state, now },
    maxAgeMs: revocationMaxAgeSeconds * 1000,
    aheadMs: largestLeewayMs(config),
  });
  const issuer = createTokenIssuer({
    ...{ keys, state, now, audience },
    issuer: publicUrl,
    lifetimeMs: lifetime * 1000,
    teamOf: (caller) => teamOf(config.identity.teams, caller),
    knows: knownProviders(config),
  });
  const identifier = createIdentifier(config.identity, {
    ...{ now, issuer, revocations },
    httpFor: (provider) => providerHttp(provider),
    groupsOf: (provider) => groupsOf(provider, readSecret, now),
  });
  const examiner = config.identity.saml.length > 0 ? createExaminer() : undefined;
  const saml = await openSaml(config, { state, now, publicUrl, examiner, revocations });
  const samlProblems = new Map<string, string>();
  const isEven = clockSteps({ now });
  const running = await chores(needs.log, [
    { part: 'revocations', everyMs: revocationsEveryMs, run: () => revocations.refresh() },
    { part: 'keys', everyMs: ownKeysEveryMs, run: () => keys.maintain() },
    { part: 'keys', everyMs: publishedKeysEveryMs, run: () => keys.refresh() },
    { part: 'state', everyMs: expiredEveryMs, run: async () => (isEven() ? tidy(state) : undefined) },
    // Not waited for: an IdP that is slow delays no start.
    { part: 'saml', everyMs: samlEveryMs, run: async () => void lookAt(saml, samlProblems) },
  ] satisfies Chore[]);
  return {
    ...{ identifier, issuer, revocations, saml, samlProblems, publicUrl, audience, loginSecrets },
    signIns: new SignIns(state, now),
    close: async () => {
      await running.stop();
      await examiner?.close();
    },
  };
}

/** Fetches metadata before somebody waits for it, and keeps what `/readyz` says. */
async function lookAt(saml: ReadonlyMap<string, SamlProvider>, problems: Map<string, string>): Promise<void> {
  for (const [name, provider] of saml) {
    const problem = await provider.check();
    if (problem === undefined) problems.delete(name);
    else problems.set(name, problem);
  }
}

async function tidy(state: StateStore): Promise<void> {
  for (let round = 0; round < tidyRounds; round++) {
    if ((await state.deleteExpired(expiredAtOnce)) < expiredAtOnce) return;
    await tick();
  }
}

/** An assertion for such a model would be one for the gateway, as far as `aud` says. */
function refuseOwnAudience(config: Config, models: readonly Model[], audience: string): void {
  const model = models.find(({ identity }) => identity?.audience === audience);
  if (model !== undefined)
    throw new GatewayRefused(
      `${shownPath(config.models.file)}: identity.audience of ${model.name} is the audience of the gateway's own tokens: name the model's.`,
    );
}

/** How far ahead of our clock what a provider vouches for may be dated. */
const largestLeewayMs = ({ identity }: Config): number =>
  1000 * Math.max(0, ...[...identity.providers, ...identity.saml].map(({ leewaySeconds }) => leewaySeconds));

function knownProviders({ identity }: Config): (provider: string, issuer: string) => boolean {
  const issuers = new Map<string, string>([
    ...identity.providers.map(({ name, issuer }) => [name, issuer] as const),
    ...identity.saml.map(({ name, entityId }) => [name, entityId] as const),
  ]);
  return (provider, issuer) => issuers.get(provider) === issuer;
}

/** Reads the groups of a provider's callers, as its config says. */
export function groupsOf(provider: ProviderConfig, readSecret: ReadSecret, now: () => number): GroupsReader {
  const own = providerHttp(provider);
  const userinfoEndpoint = async () => endpointIn(await discover(provider, own), 'userinfo_endpoint');
  // Microsoft's and Google's certificates are not of the CA that the provider's own servers may have.
  const isAskedElsewhere = provider.groups.source === 'entra' || provider.groups.source === 'google';
  const http = isAskedElsewhere ? createHttp({ trustedHosts: hostsOfGroups(provider) }) : own;
  return createGroupsReader(provider, { http, now, readSecret, userinfoEndpoint });
}

interface SamlNeeds {
  readonly state: StateStore;
  readonly now: () => number;
  readonly publicUrl: string;
  readonly examiner: Examiner | undefined;
  readonly revocations: RevocationList;
}

async function openSaml(config: Config, needs: SamlNeeds): Promise<ReadonlyMap<string, SamlProvider>> {
  const { examiner, publicUrl } = needs;
  const opened = new Map<string, SamlProvider>();
  if (examiner === undefined) return opened;
  for (const [index, section] of config.identity.saml.entries()) {
    const provider = await createSamlProvider(section, {
      ...{ publicUrl, examiner, state: needs.state, now: needs.now },
      tokenEndpoint: `${publicUrl}/oauth/token`,
      http: createHttp({ trustedHosts: metadataHosts(section) }),
      readFile: (path) => readFile(path, 'utf8'),
      teamOf: (name, subject, groups) => teamOf(config.identity.teams, { provider: name, subject, groups }),
    }).catch(async (error: unknown) => {
      await examiner.close();
      throw error instanceof SamlFileProblem
        ? new GatewayRefused(
            `${shownPath(config.file)}: identity.saml[${index}].${error.key}: ${shownPath(error.file)}: ${error.message}.`,
          )
        : error;
    });
    opened.set(section.name, unlessTakenBack(provider, needs.revocations));
  }
  return opened;
}

const metadataHosts = ({ idp }: SamlConfig): readonly string[] =>
  idp.metadataUrl === undefined ? [] : [new URL(idp.metadataUrl).hostname];

/** Who was taken back does not sign in with what the IdP said before. */
function unlessTakenBack(provider: SamlProvider, revocations: RevocationList): SamlProvider {
  const checked: Pick<SamlProvider, 'finish' | 'bearer'> = {
    finish: async (response, requestId) => {
      const answer = await provider.finish(response, requestId);
      return answer.ok ? (takenBack(revocations, answer.caller) ?? answer) : answer;
    },
    bearer: async (assertion) => {
      const answer = await provider.bearer(assertion);
      return answer.ok ? (takenBack(revocations, answer.caller) ?? answer) : answer;
    },
  };
  return {
    name: provider.name,
    metadata: () => provider.metadata(),
    begin: (relay) => provider.begin(relay),
    check: () => provider.check(),
    ...checked,
  };
}
