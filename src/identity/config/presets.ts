/**
 * What kinds of OpenID providers have in common, so that a config need not say it. Everything can be overridden but what keeps
 * a provider from being open to the world (`mustName`, `issuerProblem`).
 */
import type { z } from 'zod';
import type { GroupsConfig } from './groups.ts';
import type { algorithm, ClaimPath } from './values.ts';

export interface Preset {
  readonly issuer?: string;
  readonly algorithms?: readonly z.output<typeof algorithm>[];
  readonly tokenType?: 'at+jwt' | 'JWT' | 'id_token';
  readonly subjectClaim?: ClaimPath;
  readonly emailClaim?: ClaimPath;
  readonly kind?: 'auto' | 'person' | 'service';
  readonly requiredClaims?: Readonly<Record<string, true | string>>;
  readonly groups?: Partial<GroupsConfig>;
  /** Of a provider that gives anybody tokens: claims of which `requiredClaims` must give one a value, and why. */
  readonly mustName?: { readonly claims: readonly string[]; readonly why: string };
  /** Why an issuer that was written cannot be right. */
  readonly issuerProblem?: (issuer: string) => string | undefined;
}

export const presetNames = ['generic', 'okta', 'entra', 'google', 'keycloak', 'kubernetes', 'github-actions'] as const;

export const presets: Readonly<Record<(typeof presetNames)[number], Preset>> = {
  generic: {},
  // https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/: RS256, no typ, `cid` for the client. `sub` of an
  // access token is the person's login, mostly an address (or the client's id); in ID tokens it is `email`.
  okta: { algorithms: ['RS256'], tokenType: 'JWT', emailClaim: 'sub', groups: { claims: ['groups'] } },
  // https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference: `sub` is pairwise, `oid` is not.
  entra: {
    algorithms: ['RS256'],
    tokenType: 'JWT',
    subjectClaim: 'oid',
    emailClaim: 'preferred_username',
    // API and client have one audience where they are one application: only access tokens name the client.
    requiredClaims: { tid: true, azp: true, ver: '2.0' },
    groups: { source: 'entra', claims: ['groups', 'roles'] },
    issuerProblem: entraIssuerProblem,
  },
  // https://developers.google.com/identity/openid-connect/openid-connect: access tokens are opaque, ID tokens are not.
  google: {
    issuer: 'https://accounts.google.com',
    algorithms: ['RS256'],
    tokenType: 'id_token',
    groups: { source: 'google' },
    mustName: {
      claims: ['hd', 'sub', 'email'],
      why: 'any Google account in the world can get such a token. Write `requiredClaims: {hd: <domain of your organisation>}`; `sub` or `email` for single accounts',
    },
  },
  // https://www.keycloak.org/docs/latest/server_admin/: RS256, typ JWT, roles below realm_access.
  keycloak: { algorithms: ['RS256'], tokenType: 'JWT', groups: { claims: ['groups', 'realm_access.roles'] } },
  // https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/: bound service account tokens.
  kubernetes: {
    algorithms: ['RS256', 'ES256'],
    tokenType: 'JWT',
    kind: 'service',
    requiredClaims: { 'kubernetes.io': true },
    groups: { serviceAccountGroups: true },
  },
  // https://docs.github.com/actions/reference/security/oidc
  'github-actions': {
    issuer: 'https://token.actions.githubusercontent.com',
    algorithms: ['RS256'],
    tokenType: 'JWT',
    kind: 'service',
    requiredClaims: { repository: true },
    groups: { claims: ['repository', 'repository_owner'] },
    mustName: {
      claims: ['repository_owner', 'repository_owner_id', 'repository', 'repository_id', 'enterprise', 'sub'],
      why: 'any repository in the world can get such a token. Write `requiredClaims: {repository_owner_id: "<id of your organisation>"}`',
    },
  },
};

/** https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference (iss): the tenant of personal accounts. */
const personalAccounts = '9188040d-6c67-4c5b-b112-36a304b66dad';

function entraIssuerProblem(issuer: string): string | undefined {
  const [, tenant = ''] = new URL(issuer).pathname.toLowerCase().split('/');
  if (['common', 'organizations', 'consumers'].includes(tenant))
    return `is in no token: Entra ID writes the tenant's id where this has "${tenant}". Write https://login.microsoftonline.com/<tenant id>/v2.0`;
  return tenant === personalAccounts
    ? 'is the tenant of all personal Microsoft accounts: anybody in the world could call. Write that of your organisation'
    : undefined;
}
