import { randomBytes } from 'node:crypto';
import { compactVerify, SignJWT } from 'jose';
import { type Caller, type Identification, type IdentityRefusal, refuse } from '../caller.ts';
import type { IdentityState } from '../state.ts';
import { maxTokenLength, type OpenedToken, openToken } from '../token.ts';
import { Identities, type Identity, identityOf, maxEmbeddedLength } from './identity.ts';
import type { IssuedToken, TokenIssuer } from './issued.ts';
import { type IssuedKeys, maxTokenMs } from './keys.ts';

export interface TokenIssuerOptions {
  readonly keys: IssuedKeys;
  readonly state: IdentityState;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** `iss`: the gateway's publicUrl. */
  readonly issuer: string;
  /** `aud` of its tokens. */
  readonly audience: string;
  readonly lifetimeMs: number;
  readonly teamOf: (caller: Pick<Caller, 'provider' | 'subject' | 'groups'>) => string | undefined;
  /** Whether a provider of that name and issuer is configured: a token outlives no provider. */
  readonly knows: (provider: string, issuer: string) => boolean;
}

/** RFC 9068 §2.1. Assertions have another type, so that neither passes for the other. */
const tokenType = 'at+jwt';
const assertionType = 'sallyport-identity+jwt';
/** The member of the claims that says who. */
const member = 'sallyport';
/** Clocks of replicas differ. Only `iat` gets it: what has expired by our clock has expired. */
const leewaySeconds = 60;
const assertionSeconds = 120;
const assertionReusedMs = 30_000;
/** Bytes of JSON: an assertion is a header, and servers take 8 to 16 KiB of those in all. */
const maxAssertedGroups = 4096;

/**
 * Issues and verifies the gateway's own tokens (ES256, RFC 9068), and the assertions that tell a model who calls it. `issue`
 * and `assertion` reject as the control state does.
 */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { keys, now, issuer } = options;
  const identities = new Identities(options.state);
  const assertions = new WeakMap<Caller, Map<string, Assertion>>();

  const sign = async (type: string, claims: Record<string, unknown>): Promise<string> => {
    const { kid, privateKey } = await keys.signing();
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: type, kid }).sign(privateKey);
  };

  const assert = (caller: Caller, to: string): Assertion => {
    const iat = Math.floor(now() / 1000);
    const exp = Math.min(iat + assertionSeconds, Math.floor(caller.expiresAtMs / 1000));
    const { provider, subject, email, groups, team, kind } = caller;
    const claims = { iss: issuer, aud: to, sub: nameOf(caller), jti: newId(), iat, exp };
    // All or none: a model must not take some for all.
    const fits = Buffer.byteLength(JSON.stringify(groups)) <= maxAssertedGroups;
    const said = fits ? { groups } : { groups_omitted: true };
    const who = { provider, subject, kind, ...said, ...(email && { email }), ...(team && { team }) };
    return { token: sign(assertionType, { ...claims, ...who }), expiresAtMs: exp * 1000 };
  };

  return {
    issuer,
    jwks: () => keys.jwks(),
    issue: (caller) => issue(options, identities, sign, caller),
    verify: (token, opened) => verify(options, identities, token, opened).catch(unlessLost),
    assertion(caller, to) {
      let ofCaller = assertions.get(caller);
      if (ofCaller === undefined) {
        ofCaller = new Map();
        assertions.set(caller, ofCaller);
      }
      const known = ofCaller.get(to);
      if (known !== undefined && known.expiresAtMs - now() >= assertionReusedMs) return known.token;
      const made = assert(caller, to);
      ofCaller.set(to, made);
      made.token.catch(() => ofCaller.delete(to));
      return made.token;
    },
  };
}

interface Assertion {
  readonly token: Promise<string>;
  readonly expiresAtMs: number;
}

/** The state is where keys of other replicas, and large identities, are. */
function unlessLost(error: unknown): IdentityRefusal {
  if (error instanceof Error && 'code' in error && error.code === 'state_unavailable')
    return refuse('state_unavailable', 'what verifies the token is in the control state, which cannot be read');
  throw error;
}

/** 128 random bits: not to be guessed, so that nobody takes back what is not theirs. */
const newId = (): string => randomBytes(16).toString('base64url');

/** Whether the id is like those that the gateway gives its tokens. */
export const isTokenId = (text: string): boolean => /^[A-Za-z0-9_-]{22}$/.test(text);

/** One name for a caller of any provider. */
const nameOf = ({ provider, subject }: Caller): string =>
  `${encodeURIComponent(provider)}/${encodeURIComponent(subject)}`;

type Sign = (type: string, claims: Record<string, unknown>) => Promise<string>;

/** Throws RangeError for a caller whose own proof has expired, TypeError for one who proved nothing that may be exchanged. */
async function issue(
  options: TokenIssuerOptions,
  identities: Identities,
  sign: Sign,
  caller: Caller,
): Promise<IssuedToken> {
  const nowMs = options.now();
  const iat = Math.floor(nowMs / 1000);
  const exp = Math.floor(Math.min(nowMs + Math.min(options.lifetimeMs, maxTokenMs), caller.expiresAtMs) / 1000);
  if (exp <= iat) throw new RangeError('the proof of the caller has expired');
  const who = identityOf(caller);
  const tokenId = newId();
  const claims = { iss: options.issuer, aud: options.audience, sub: nameOf(caller), jti: tokenId, iat, exp };
  const expiresAtMs = exp * 1000;
  if (JSON.stringify(who).length <= maxEmbeddedLength) {
    const token = await sign(tokenType, { ...claims, [member]: who });
    // Claims that are nested deeply, or named `__proto__`, are not taken in a token.
    if (token.length <= maxTokenLength && openToken(token).ok) return { token, tokenId, expiresAtMs };
  }
  const reference = await identities.store(who, expiresAtMs);
  return { token: await sign(tokenType, { ...claims, [member]: reference }), tokenId, expiresAtMs };
}

async function verify(
  options: TokenIssuerOptions,
  identities: Identities,
  token: string,
  opened: OpenedToken,
): Promise<Identification> {
  const claims = readClaims(options, opened);
  if ('ok' in claims) return claims;
  const { exp, jti, kid } = claims;
  const key = await options.keys.find(kid);
  if (key === undefined) return refuse('token_invalid', 'no key of the gateway has this id');
  try {
    await compactVerify(token, key, { algorithms: ['ES256'] });
  } catch {
    return refuse('token_invalid', 'the signature does not verify');
  }
  const who = await identities.resolve(opened.claims[member]);
  if (who === undefined) return refuse('token_invalid', 'what the token refers to is not there');
  if (!options.knows(who.provider, who.issuer))
    return refuse('issuer_unknown', 'the provider that the token was exchanged from is not configured any more');
  return { ok: true, caller: callerOf(options, who, jti, exp) };
}

function callerOf(options: TokenIssuerOptions, who: Identity, tokenId: string, exp: number): Caller {
  const { provider, issuer, subject, kind, email, groupsProblem, claims, issuedAtMs } = who;
  const groups = Object.freeze([...who.groups]);
  const team = options.teamOf({ provider, subject, groups });
  const expiresAtMs = exp * 1000;
  return Object.freeze({
    ...{ provider, issuer, subject, kind, email, groups, team, issuedAtMs, tokenId, expiresAtMs },
    ...(groupsProblem !== undefined && { groupsProblem }),
    claims: Object.freeze(claims),
    proof: 'issued',
  });
}

/** Header and claims as `issue` writes them, and nothing else. */
function readClaims(
  { issuer, audience, now }: TokenIssuerOptions,
  { header, claims }: OpenedToken,
): { readonly exp: number; readonly jti: string; readonly kid: string } | IdentityRefusal {
  const { alg, typ, kid, ...others } = header;
  if (alg !== 'ES256') return refuse('token_invalid', 'the algorithm is not ES256');
  if (typ !== tokenType) return refuse('token_invalid', `typ is not ${tokenType}`);
  if (typeof kid !== 'string' || kid.length > 64) return refuse('token_invalid', 'the key id is not a short string');
  if (Object.keys(others).length > 0) return refuse('token_invalid', 'the header has what the gateway does not write');
  const { iss, aud, sub, jti, iat, exp } = claims;
  if (iss !== issuer) return refuse('issuer_unknown', 'iss is not the gateway');
  if (aud !== audience) return refuse('audience_wrong', 'aud does not name this gateway');
  if (!isSecond(iat) || !isSecond(exp)) return refuse('token_invalid', 'exp or iat is missing or not a whole second');
  const nowMs = now();
  if (nowMs >= exp * 1000) return refuse('token_expired', 'exp is in the past');
  if (iat * 1000 > nowMs + leewaySeconds * 1000) return refuse('token_not_yet_valid', 'iat is in the future');
  if (exp <= iat || (exp - iat) * 1000 > maxTokenMs + 1000)
    return refuse('token_invalid', 'the token is good for longer than any that the gateway issues');
  if (typeof jti !== 'string' || typeof sub !== 'string' || jti === '' || jti.length > 64)
    return refuse('token_invalid', 'jti or sub is not a string');
  return { exp, jti, kid };
}

const isSecond = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
