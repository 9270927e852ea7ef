/**
 * What `sallyport inspect-token` says of a token. The checks are the gate's own, run one by one; only what is said about
 * them is written here (inspect-text.ts).
 */
import { type Caller, type Identification, type IdentityRefusal, refuse } from './caller.ts';
import { type StaticCheckName, staticChecks } from './checks.ts';
import { callerFrom, groupsOf } from './claims.ts';
import type { IdentityConfig } from './config.ts';
import { type IdentifierParts, takenBack } from './identifier.ts';
import { explain, explainGroups, explainIssuer, explainKeys, gatewayName } from './inspect-text.ts';
import { createProviders, forIdTokens, type OidcProvider } from './oidc.ts';
import { verifySignature } from './signature.ts';
import { maxTokenLength, type OpenedToken, openToken } from './token.ts';

export type CheckName = 'form' | StaticCheckName | 'key' | 'signature' | 'groups' | 'revoked';

export interface ReportedCheck {
  readonly name: CheckName;
  readonly outcome: 'pass' | 'fail' | 'skipped';
  /** One or two sentences for a developer; may quote claims, never the signature. */
  readonly explanation: string;
}

export interface TokenReport {
  /** Decoded; undefined where the token cannot be read. */
  readonly header: Readonly<Record<string, unknown>> | undefined;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** The provider whose issuer the token names; `gateway` for tokens that the gateway issued. */
  readonly provider: { readonly name: string; readonly issuer: string } | undefined;
  /** In the order in which they are explained; all of them, also after one that failed. */
  readonly checks: readonly ReportedCheck[];
  /** What the gate answers to a request with this token (or to its exchange, `asIdToken`). */
  readonly verdict: Identification;
}

export interface InspectOptions {
  /** Report on it as an ID token that is to be exchanged (RFC 8693), and not as what a caller sends. Default false. */
  readonly asIdToken?: boolean | undefined;
}

/** Collects checks; the first that fails is the verdict. */
class Findings {
  readonly checks: ReportedCheck[] = [];
  refusal: IdentityRefusal | undefined;

  add(name: CheckName, problem: IdentityRefusal | undefined, explanation: string): void {
    this.refusal ??= problem;
    this.checks.push({ name, outcome: problem === undefined ? 'pass' : 'fail', explanation });
  }

  skip(names: readonly CheckName[], explanation: string): void {
    for (const name of names) this.checks.push({ name, outcome: 'skipped', explanation });
  }
}

const afterForm: readonly CheckName[] = [
  ...staticChecks.map(({ name }) => name),
  'key',
  'signature',
  'groups',
  'revoked',
];

/**
 * Never rejects; fetches the provider's keys, and groups where they are elsewhere.
 *
 * @throws Error when a provider's CA file cannot be read.
 */
export async function inspectToken(
  token: string,
  config: IdentityConfig,
  parts: IdentifierParts,
  options: InspectOptions = {},
): Promise<TokenReport> {
  const findings = new Findings();
  const opened =
    token.length > maxTokenLength ? refuse('token_malformed', `longer than ${maxTokenLength} bytes`) : openToken(token);
  if (!opened.ok) {
    findings.add('form', opened, explain.unreadable(token, opened));
    findings.skip(afterForm, 'The token cannot be read.');
    return { header: undefined, claims: undefined, provider: undefined, checks: findings.checks, verdict: opened };
  }
  findings.add('form', undefined, 'A signed JWT: three parts, each well-formed, no name twice.');
  const { header, claims } = opened;
  const report = (name: string | undefined, verdict: Identification): TokenReport => ({
    header,
    claims,
    provider: name === undefined ? undefined : { name, issuer: String(claims['iss']) },
    checks: findings.checks,
    verdict,
  });
  if (parts.issuer !== undefined && claims['iss'] === parts.issuer.issuer)
    return report(gatewayName, await inspectIssued(token, opened, parts, findings));
  const found = createProviders(config, parts).get(claims['iss']);
  const provider = found !== undefined && options.asIdToken === true ? forIdTokens(found) : found;
  if (provider === undefined) {
    const unknown = found === undefined ? refuse('issuer_unknown', 'no provider has this issuer') : noExchange(found);
    findings.add('issuer', unknown, explainIssuer(claims, found, config));
    findings.skip(
      afterForm.filter((name) => name !== 'issuer'),
      'There is no provider to check it for.',
    );
    return report(found?.config.name, unknown);
  }
  return report(provider.config.name, await inspectOf(token, opened, provider, { config, parts, findings }));
}

const noExchange = ({ config }: OidcProvider): IdentityRefusal =>
  refuse('token_invalid', `${config.name} has no id_token that may be exchanged`);

interface Inspection {
  readonly config: IdentityConfig;
  readonly parts: IdentifierParts;
  readonly findings: Findings;
}

async function inspectOf(
  token: string,
  opened: OpenedToken,
  provider: OidcProvider,
  { config, parts, findings }: Inspection,
): Promise<Identification> {
  const nowMs = parts.now();
  for (const { name, check } of staticChecks) {
    const problem = check(opened, provider.config, nowMs);
    findings.add(name, problem, explain[name](opened, provider.config, problem, nowMs));
  }
  const problem = findings.checks.find(({ name, outcome }) => name === 'algorithm' && outcome === 'fail');
  if (problem === undefined) await inspectSignature(token, opened, provider, findings);
  else findings.skip(['key', 'signature'], 'The algorithm is not accepted, so no key is looked for.');
  if (findings.refusal !== undefined) {
    findings.skip(['groups', 'revoked'], 'The token has failed before.');
    return findings.refusal;
  }
  const groups = await groupsOf(opened.claims, provider.config, provider.groups, token);
  const unavailable = groups.ok ? undefined : refuse('groups_unavailable', groups.detail);
  findings.add('groups', unavailable, explainGroups(opened.claims, provider.config, groups));
  if (!groups.ok) {
    findings.skip(['revoked'], 'The token has failed before.');
    return refuse('groups_unavailable', groups.detail);
  }
  const about = { teams: config.teams, proof: 'token' } as const;
  return inspectRevocation(callerFrom(opened.claims, provider.config, groups.groups, about), parts, findings);
}

async function inspectSignature(
  token: string,
  { header }: OpenedToken,
  provider: OidcProvider,
  findings: Findings,
): Promise<void> {
  const checked = await verifySignature(token, header['kid'], provider);
  const keys = await provider.keys.current();
  const failed = checked.ok ? undefined : checked.failed;
  const refusal = checked.ok ? undefined : checked.refusal;
  const said = explainKeys(header, provider.config, keys?.keyIds, provider.keys.problem);
  if (failed === 'keys' || failed === 'key') {
    findings.add('key', refusal, failed === 'keys' ? said.unavailable : said.unknown);
    findings.skip(['signature'], 'There is no key to verify it with.');
    return;
  }
  findings.add('key', undefined, said.found);
  findings.add('signature', refusal, refusal === undefined ? said.verified : said.forged);
}

function inspectRevocation(caller: Caller, { revocations }: IdentifierParts, findings: Findings): Identification {
  if (revocations === undefined) {
    findings.skip(['revoked'], 'Revocations are not known here; the running gateway knows them.');
    return { ok: true, caller };
  }
  const problem = takenBack(revocations, caller);
  findings.add('revoked', problem, explain.revoked(problem));
  return problem ?? { ok: true, caller };
}

/** One of ours: the issuer verifies it as a whole. */
async function inspectIssued(
  token: string,
  opened: OpenedToken,
  parts: IdentifierParts,
  findings: Findings,
): Promise<Identification> {
  findings.add('issuer', undefined, 'The gateway itself issued it.');
  const answer = await parts.issuer?.verify(token, opened);
  if (answer === undefined || !answer.ok) {
    const problem = answer ?? refuse('issuer_unknown', 'no provider has this issuer');
    findings.add('signature', problem, `The gateway does not take it: ${problem.detail}.`);
    findings.skip(['revoked'], 'The token has failed before.');
    return problem;
  }
  findings.add('signature', undefined, explain.issued(opened.claims, parts.now()));
  return inspectRevocation(answer.caller, parts, findings);
}
