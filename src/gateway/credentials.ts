/** The OAuth endpoints' and the operator's sources: credentials given out and taken back, each on the record. */
import { sessionCaller } from '../checkpoint/record.ts';
import type { Config } from '../config.ts';
import type { Revocation, Revoker } from '../console/admin.ts';
import type { CredentialFacts, LoginProvider, OauthSources } from '../console/oauth/sources.ts';
import { type ErrorCode, errors } from '../exchange/errors.ts';
import { refusal } from '../exchange/refusal.ts';
import type { Caller, Identification } from '../identity/caller.ts';
import { meshProvider } from '../identity/config.ts';
import { findCredential } from '../identity/credential.ts';
import { takenBack } from '../identity/identifier.ts';
import { isTokenId } from '../identity/issued/tokens.ts';
import type { SamlProvider } from '../identity/saml/saml.ts';
import { openToken } from '../identity/token.ts';
import type { Log } from '../observe/log.ts';
import type { CredentialEvent, Recorder } from '../record/events.ts';
import type { IdentityParts } from './identity.ts';
import { newSession, nowMs } from './request.ts';

export interface CredentialNeeds {
  readonly config: Config;
  readonly identity: IdentityParts;
  readonly recorder: Recorder;
  readonly maskText: (text: string) => string;
  readonly log: Log;
}

/** No token of ours lives longer, milliseconds. */
const longestTokenMs = 3_600_000;

export function oauthSources(needs: CredentialNeeds): OauthSources<Caller, SamlProvider> {
  const { config, identity, log } = needs;
  const { identifier, issuer, revocations, publicUrl, audience } = identity;
  const models = modelsUrl(config);
  const isOwn = (token: string): boolean => {
    const opened = openToken(token);
    return opened.ok && opened.claims['iss'] === issuer.issuer;
  };
  const bearerNames = config.identity.saml.filter((saml) => saml.bearerAssertions).map(({ name }) => name);
  return {
    ...{ publicUrl, nowMs, newSession, saml: identity.saml },
    modelsUrl: models,
    targets: [publicUrl, audience, models].map((url) => url.replace(/\/$/, '')),
    providers: loginProviders(config, identity),
    jwks: () => issuer.jwks(),
    subjectToken: async (token, type) =>
      isOwn(token)
        ? { ok: false, reason: 'own_token', detail: 'a token of the gateway was to be exchanged' }
        : identifier.verifySubjectToken(token, type),
    assertion: bearerNames.length === 0 ? undefined : (assertion) => byAssertion(identity, bearerNames, assertion),
    identify: async (request) => identify(identity, request),
    ownToken: async (token) => {
      const opened = openToken(token);
      if (!opened.ok) return opened;
      const answer = await issuer.verify(token, opened);
      return answer.ok ? (takenBack(revocations, answer.caller) ?? answer) : answer;
    },
    issue: (caller) => issuer.issue(caller),
    revokeToken: (tokenId, expiresAtMs, holder) => revocations.revokeToken(tokenId, expiresAtMs, holder),
    record: (facts) => record(needs, facts),
    refusal: (reason, session) => {
      const code: ErrorCode = isErrorCode(reason) ? reason : 'token_invalid';
      return { ...refusal({ code, session }), meaning: errors[code].meaning };
    },
    isOutage,
    failed: (session, error) => log.warn('an OAuth endpoint could not answer', { session, error }),
    signIns: {
      begin: (provider, asked) => identity.signIns.begin(provider, asked),
      arrive: (provider, handle, response) => identity.signIns.arrive(provider, handle, response),
      present: (ticket, secrets) => identity.signIns.present(ticket, secrets),
      proceed: (ticket, secrets, seal) => identity.signIns.proceed(ticket, secrets, seal),
      redeem: async (redemption) => {
        const outcome = await identity.signIns.redeem(redemption);
        const problem = outcome.ok ? takenBack(revocations, outcome.caller) : undefined;
        return problem === undefined ? outcome : { ok: false, detail: problem.detail };
      },
    },
  };
}

/** Where callers reach the models. */
const modelsUrl = ({ modelsUrl: url, listen: { envoy } }: Config): string =>
  url ?? `http://${envoy.host.includes(':') ? `[${envoy.host}]` : envoy.host}:${envoy.port}`;

const isErrorCode = (reason: string): reason is ErrorCode => Object.hasOwn(errors, reason);

const isOutage = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === 'JournalUnavailable' ||
    ('code' in error && (error.code === 'state_unavailable' || error.code === 'revocation_refused')));

/** As the request gate does, but for what only Envoy can say: peers, and its jwt_authn filter. */
async function identify({ identifier }: IdentityParts, request: Request) {
  const { pathname, search } = new URL(request.url);
  // Headers that came twice are joined by commas here.
  const found = findCredential({ path: `${pathname}${search}`, headers: [...request.headers], joined: true });
  if (!found.ok) return { ok: false, reason: found.code, detail: found.detail } as const;
  return identifier.identify({ token: found.token, peer: '', jwtAuthn: undefined });
}

/** An assertion does not say which of ours its issuer is before it is read: each is asked. */
async function byAssertion(
  { saml }: IdentityParts,
  names: readonly string[],
  assertion: string,
): Promise<Identification> {
  let answer: Identification = { ok: false, reason: 'issuer_unknown', detail: 'no provider takes assertions' };
  for (const name of names) {
    answer = (await saml.get(name)?.bearer(assertion)) ?? answer;
    if (answer.ok || answer.reason !== 'issuer_unknown') return answer;
  }
  return answer;
}

function loginProviders({ identity: section }: Config, { loginSecrets }: IdentityParts): LoginProvider[] {
  const oidc = section.providers.flatMap(({ name, issuer, login }): LoginProvider[] => {
    if (login === undefined) return [];
    const { clientId, scopes, flow, resource, exchange } = login;
    const secret = loginSecrets.get(name);
    const optional = {
      ...(secret === undefined ? {} : { client_secret: secret }),
      ...(resource === undefined ? {} : { resource }),
    };
    return [{ name, kind: 'oidc', issuer, client_id: clientId, scopes, flow, exchange, ...optional }];
  });
  return [...oidc, ...section.saml.map(({ name, entityId }) => ({ name, kind: 'saml', issuer: entityId }) as const)];
}

/** Durable when it resolves, but for what is refused: that is not waited for, and counted together in a flood. */
async function record({ recorder, maskText }: CredentialNeeds, facts: CredentialFacts<Caller>): Promise<void> {
  const { session, action, grant, caller, clientAddress } = facts;
  const event: CredentialEvent = {
    ...{ type: 'credential', session, at: nowMs(), action, grant, clientAddress, by: '', count: 1 },
    caller: caller === undefined ? undefined : sessionCaller(caller),
    tokenId: facts.tokenId ?? '',
    expiresAtMs: facts.expiresAtMs ?? 0,
    code: facts.code ?? '',
    detail: maskText((facts.detail ?? '').slice(0, 512)),
  };
  recorder.event(event);
  if (action !== 'refused') await recorder.durable();
}

/** What `sallyport revoke` does. */
export function revokerOf({ config, identity: { revocations }, recorder }: CredentialNeeds): Revoker {
  const names = new Set([
    meshProvider,
    ...config.identity.providers.map((p) => p.name),
    ...config.identity.saml.map((p) => p.name),
  ]);
  const note = async (what: Revocation, by: string): Promise<void> => {
    const caller = 'tokenId' in what ? undefined : { provider: what.provider, subject: what.subject };
    recorder.event({
      ...{ type: 'credential', session: newSession(), at: nowMs(), action: 'revoked', grant: 'admin', by, caller },
      ...{ tokenId: 'tokenId' in what ? what.tokenId : '', expiresAtMs: 0, code: '', clientAddress: '', count: 1 },
      detail: 'tokenId' in what ? '' : 'all that was vouched for until now',
    });
    await recorder.durable();
  };
  return {
    revoke: async (what, by) => {
      if ('tokenId' in what) {
        // A provider's token may live longer than a revocation of one token does.
        if (!isTokenId(what.tokenId)) return { ok: false, code: 'not_our_token' };
        await revocations.revokeToken(what.tokenId, nowMs() + longestTokenMs);
      } else if (!names.has(what.provider)) return { ok: false, code: 'unknown_provider' };
      else await revocations.revokeSubject(what.provider, what.subject);
      return { ok: true, recorded: note(what, by) };
    },
  };
}
