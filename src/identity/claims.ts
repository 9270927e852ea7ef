/** Who the verified and checked claims of a token speak of. */
import type { Caller } from './caller.ts';
import { isEmailUnverified } from './checks.ts';
import { claimAt } from './claim-path.ts';
import type { ProviderConfig, TeamConfig } from './config.ts';
import type { Groups, GroupsReader } from './groups/groups.ts';
import { isPlainText } from './plain-text.ts';
import { teamOf } from './teams.ts';

/** RFC 5321 §4.5.3.1 would allow 254. */
const maxEmailLength = 320;
const maxTokenIdLength = 1024;

type Claims = Readonly<Record<string, unknown>>;

const subjectOf = (claims: Claims, provider: ProviderConfig): string =>
  claimAt(claims, provider.subjectClaim) as string;

/**
 * The caller's groups.
 *
 * @param token The access token, for `userinfo`; undefined where there is none.
 */
export function groupsOf(
  claims: Claims,
  provider: ProviderConfig,
  reader: GroupsReader,
  token: string | undefined,
): Groups | Promise<Groups> {
  return reader.read(claims, subjectOf(claims, provider), provider.tokenType === 'id_token' ? undefined : token);
}

/**
 * A token that a service got for itself (client credentials): RFC 9068 §5 makes `sub` the client's id, Okta calls it `cid`;
 * Auth0 says `gty`; Entra ID says `idtyp`, and where it does not, `oid` is the `sub` and there is no `scp`; Keycloak names
 * the user `service-account-<client>`.
 */
function isService(claims: Claims): boolean {
  const { sub, client_id: clientId, clientId: olderClientId, azp, cid, oid } = claims;
  const { gty, idtyp, preferred_username: username } = claims;
  if (typeof sub === 'string') {
    if ([clientId, azp, cid].includes(sub) || sub.startsWith('system:serviceaccount:')) return true;
    if (sub === oid && !('scp' in claims) && idtyp !== 'user') return true;
  }
  if (gty === 'client-credentials' || idtyp === 'app') return true;
  return [clientId, olderClientId].some((id) => typeof id === 'string' && username === `service-account-${id}`);
}

/** Unless the provider says that it is not verified. ID tokens have it in `email` (OpenID Connect Core §5.1), too. */
function emailOf(claims: Claims, provider: ProviderConfig): string | undefined {
  if (isEmailUnverified(claims)) return undefined;
  const paths = provider.tokenType === 'id_token' ? [provider.emailClaim, 'email'] : [provider.emailClaim];
  return paths
    .map((path) => claimAt(claims, path))
    .find((value): value is string => isPlainText(value, maxEmailLength) && /^[^\s@]+@[^\s@]+$/.test(value));
}

/** @param claims Verified, and through every check. */
export function callerFrom(
  claims: Claims,
  provider: ProviderConfig,
  { groups, incomplete }: Pick<Extract<Groups, { ok: true }>, 'groups' | 'incomplete'>,
  about: { readonly teams: readonly TeamConfig[]; readonly proof: 'token' | 'jwt_authn' },
): Caller {
  const subject = subjectOf(claims, provider);
  const { jti } = claims;
  const isServiceByConfig = provider.kind === 'service';
  return Object.freeze({
    provider: provider.name,
    issuer: provider.issuer,
    subject,
    kind: isServiceByConfig || (provider.kind === 'auto' && isService(claims)) ? 'service' : 'person',
    email: emailOf(claims, provider),
    groups,
    ...(incomplete !== undefined && { groupsProblem: incomplete }),
    team: teamOf(about.teams, { provider: provider.name, subject, groups }),
    claims: Object.freeze(claims),
    proof: about.proof,
    tokenId: isPlainText(jti, maxTokenIdLength) ? jti : undefined,
    issuedAtMs: (claims['iat'] as number) * 1000,
    expiresAtMs: ((claims['exp'] as number) + provider.leewaySeconds) * 1000,
  });
}
