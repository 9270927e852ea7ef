/** What is said about each check of a token, to a developer who wants to know what to change. */
import type { IdentityRefusal } from './caller.ts';
import { audiencesOf, holdsRequired, isEmailUnverified, partyClaims, type StaticCheckName } from './checks.ts';
import { claimAt } from './claim-path.ts';
import type { ClaimPath } from './config/values.ts';
import type { IdentityConfig, ProviderConfig } from './config.ts';
import { dateAt } from './dates.ts';
import type { Groups } from './groups/groups.ts';
import type { OidcProvider } from './oidc.ts';
import type { ReadToken } from './token.ts';

type Claims = Readonly<Record<string, unknown>>;

/** In reports, the provider of tokens that the gateway issued. */
export const gatewayName = 'gateway';

const maxShown = 200;

/** A value of the token as JSON, cut where it is long, and without what would command a terminal. */
const show = (value: unknown): string => {
  const text =
    value === undefined
      ? 'nothing'
      : JSON.stringify(value).replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
};
const list = (values: readonly string[]): string => values.map(show).join(', ');
const nameOf = (path: ClaimPath): string => (typeof path === 'string' ? path : path.join(' > '));
const same = (a: unknown, b: string): boolean =>
  typeof a === 'string' && a.replace(/\/+$/, '').toLowerCase() === b.replace(/\/+$/, '').toLowerCase();

/** `12 seconds`, `3 minutes`, `2 hours`, `5 days`. */
export function span(seconds: number): string {
  const [size, unit] =
    seconds < 120
      ? [1, 'second']
      : seconds < 7200
        ? [60, 'minute']
        : seconds < 172_800
          ? [3600, 'hour']
          : [86_400, 'day'];
  const count = Math.floor(seconds / (size as number));
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

function when(seconds: number, nowMs: number): string {
  const apart = seconds - nowMs / 1000;
  const iso = new Date(seconds * 1000).toISOString().replace(/\.000Z$/, 'Z');
  return `${iso} (${apart >= 0 ? `in ${span(apart)}` : `${span(-apart)} ago`})`;
}

type Explain = (
  token: ReadToken,
  provider: ProviderConfig,
  problem: IdentityRefusal | undefined,
  nowMs: number,
) => string;

const statics: Readonly<Record<StaticCheckName, Explain>> = {
  algorithm: ({ header }, { algorithms }, problem) =>
    problem === undefined
      ? `${show(header?.['alg'])} is accepted.`
      : `alg is ${show(header?.['alg'])}; the provider's \`algorithms\` are ${list(algorithms)}.`,
  header: (_token, _provider, problem) =>
    problem === undefined ? 'Nothing in the header asks for what the gate does not do.' : `${sentence(problem)}`,
  type: explainType,
  issuer: ({ claims }) => `iss is ${show(claims['iss'])}, character by character as configured.`,
  audience: explainAudience,
  dates: explainDates,
  'authorized party': ({ claims }, { authorizedParties }, problem) => {
    const named = partyClaims
      .filter((name) => claims[name] !== undefined)
      .map((name) => `${name} ${show(claims[name])}`);
    const says = named.length === 0 ? 'The token names no client.' : `The token is for the client ${named.join(', ')}.`;
    if (problem !== undefined)
      return `${says} ${sentence(problem)} \`authorizedParties\`: ${list(authorizedParties ?? [])}.`;
    return authorizedParties === undefined ? `${says} Any client may be (\`authorizedParties\` is not set).` : says;
  },
  'required claims': ({ claims }, { requiredClaims }, problem) => {
    const entries = Object.entries(requiredClaims);
    if (entries.length === 0) return 'None is required.';
    if (problem === undefined) return `There, as required: ${entries.map(([name]) => name).join(', ')}.`;
    return entries
      .filter(([name, wanted]) => !holdsRequired(claims, name, wanted))
      .map(
        ([name, wanted]) =>
          `${name} is ${show(claimAt(claims, name))}, required is ${wanted === true ? 'any value' : show(wanted)}${name === 'email' && isEmailUnverified(claims) ? ', verified (`email_verified` is false)' : ''}.`,
      )
      .join(' ');
  },
  subject: ({ claims }, { subjectClaim }, problem) =>
    problem === undefined
      ? `${nameOf(subjectClaim)} is ${show(claimAt(claims, subjectClaim))}: that is \`caller.subject\`.`
      : `${nameOf(subjectClaim)} is ${show(claimAt(claims, subjectClaim))}; it must be a plain string of 1 to 1024 characters (\`subjectClaim\`).`,
};

const sentence = ({ detail }: IdentityRefusal): string => `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`;

function explainType(
  { header, claims }: ReadToken,
  provider: ProviderConfig,
  problem: IdentityRefusal | undefined,
): string {
  const typ = header?.['typ'];
  const says = typ === undefined ? 'The header has no typ' : `typ is ${show(typ)}`;
  if (problem === undefined) return `${says}: good for \`tokenType: ${provider.tokenType}\`.`;
  const marks = ['nonce', 'at_hash', 'c_hash', 's_hash'].filter((name) => name in claims);
  if (provider.tokenType !== 'id_token' && marks.length > 0)
    return `${says}, and ${marks.join(', ')} say that it is an ID token: send the access token, or exchange this one (\`login.exchange: id_token\`).`;
  if (provider.tokenType === 'at+jwt')
    return `${says}; \`tokenType: at+jwt\` wants at+jwt (RFC 9068). If the provider does not set it, configure \`tokenType: JWT\`.`;
  return `${says}. ${sentence(problem)}`;
}

function explainAudience(
  { claims }: ReadToken,
  provider: ProviderConfig,
  problem: IdentityRefusal | undefined,
): string {
  const accepted = [provider.audience].flat();
  const audiences = audiencesOf(claims);
  if (problem === undefined) return `aud is ${show(claims['aud'])}: it names this gateway.`;
  const says = `aud is ${show(claims['aud'])}; accepted is ${list(accepted)}.`;
  if (accepted.some((ours) => audiences?.some((theirs) => same(theirs, ours))))
    return `${says} They differ only in case or in a slash at the end: both must be written alike.`;
  if (provider.login !== undefined && audiences?.includes(provider.login.clientId))
    return `${says} That is \`login.clientId\`: it looks like an ID token of \`sallyport login\`, which is exchanged, not sent.`;
  return `${says} Ask the provider for a token for this gateway, or add the value to \`audience\` if it is meant for it.`;
}

function explainDates(
  { claims }: ReadToken,
  provider: ProviderConfig,
  problem: IdentityRefusal | undefined,
  nowMs: number,
): string {
  const said = ['iat', 'nbf', 'exp'].flatMap((name) => {
    const date = dateAt(claims, name);
    if (date !== undefined) return [`${name} ${when(date, nowMs)}`];
    if (name in claims) return [`${name} ${show(claims[name])}, which is no date in seconds`];
    return name === 'nbf' ? [] : [`${name} is missing`];
  });
  const dates = `${said.join(', ')}; clocks may differ by ${span(provider.leewaySeconds)}.`;
  if (problem?.reason === 'token_expired') return `It has expired: ${dates} Get a new one.`;
  if (problem?.reason === 'token_not_yet_valid') return `It is not valid yet: ${dates} Compare the clocks.`;
  return problem === undefined ? dates : `${sentence(problem)} ${dates}`;
}

export const explain = {
  ...statics,
  unreadable: (token: string, problem: IdentityRefusal): string =>
    /^\s*bearer\s/i.test(token)
      ? 'Leave out the word Bearer: the token alone.'
      : `It is not a signed JWT in compact form: ${problem.detail}. Opaque access tokens cannot be checked; \`login.exchange: id_token\` is for providers that have no others.`,
  revoked: (problem: IdentityRefusal | undefined): string =>
    problem === undefined ? 'Neither the token nor its subject has been revoked.' : sentence(problem),
  issued: (claims: Claims, nowMs: number): string => {
    const exp = dateAt(claims, 'exp');
    return `The gateway's own key signed it${exp === undefined ? '' : `; exp ${when(exp, nowMs)}`}.`;
  },
};

export function explainIssuer(claims: Claims, found: OidcProvider | undefined, config: IdentityConfig): string {
  const iss = claims['iss'];
  if (found !== undefined)
    return `iss is ${show(iss)}, but ${found.config.name} takes no ID tokens in exchange (\`login.exchange: id_token\`).`;
  const issuers = config.providers.map(({ issuer }) => issuer);
  const says = `iss is ${show(iss)}, and no provider has that \`issuer\``;
  const near = issuers.find((issuer) => same(iss, issuer));
  if (near !== undefined)
    return `${says}; ${show(near)} differs only in case or in a slash at the end: both must be written alike.`;
  if (typeof iss === 'string' && iss.startsWith('https://sts.windows.net/'))
    return `${says}. It is a version 1 token of Entra ID: set \`api.requestedAccessTokenVersion\` to 2 in the application's manifest.`;
  return `${says}: ${issuers.length === 0 ? 'there are none' : list(issuers)}.`;
}

/** What can be said about keys; the caller picks. */
export function explainKeys(
  header: Claims,
  provider: ProviderConfig,
  keyIds: readonly string[] | undefined,
  problem: string,
): Readonly<Record<'unavailable' | 'unknown' | 'found' | 'verified' | 'forged', string>> {
  const kid = header['kid'];
  const from = provider.keys.file ?? provider.jwksUri ?? `what the discovery of ${provider.issuer} names`;
  return {
    unavailable: `There are no keys of ${provider.name} (${from}): ${problem}.`,
    unknown:
      kid === undefined
        ? `The token names no key (kid), and none of ${from} verifies it.`
        : `kid is ${show(kid)}; ${from} has ${list(keyIds ?? []) || 'keys without ids'}. Is it another environment's token, or has the provider just changed keys?`,
    found:
      kid === undefined ? 'The token names no key: each that fits is tried.' : `kid ${show(kid)} is in the key set.`,
    verified: 'It verifies.',
    forged: 'It does not verify: the token was changed on its way, or another key with the same id signed it.',
  };
}

export function explainGroups(claims: Claims, provider: ProviderConfig, groups: Groups): string {
  const { claims: paths, source, rename } = provider.groups;
  const raw = paths.flatMap((path) => [claimAt(claims, path) ?? []].flat());
  const overage = '_claim_names' in claims || 'hasgroups' in claims;
  const where = overage
    ? 'The token says that there are more groups than it holds (overage)'
    : `The token has ${raw.length} in ${paths.map(nameOf).join(', ')}`;
  const asked = source === 'claim' ? '' : `; source is ${source}`;
  if (!groups.ok) return `${where}${asked}. They cannot be had: ${groups.detail}.`;
  const renamed = raw.filter((group) => typeof group === 'string' && Object.hasOwn(rename, group)).length;
  const names = groups.groups.length === 0 ? 'none' : list(groups.groups.slice(0, 20));
  const more = groups.groups.length > 20 ? ` and ${groups.groups.length - 20} more` : '';
  const incomplete = groups.incomplete === undefined ? '' : ` Not all of them: ${groups.incomplete}.`;
  return `${where}${asked}${renamed === 0 ? '' : `; ${renamed} renamed`}. \`caller.groups\`: ${names}${more}.${incomplete}`;
}
