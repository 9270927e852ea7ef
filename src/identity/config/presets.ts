/** What kinds of OpenID providers have in common, so that a config need not say it. Everything can be overridden. */
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
  readonly requiredClaims?: Readonly<Record<string, true | string | number | boolean>>;
  readonly groups?: Partial<GroupsConfig>;
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
    requiredClaims: { tid: true, ver: '2.0' },
    groups: { source: 'entra', claims: ['groups', 'roles'] },
  },
  // https://developers.google.com/identity/openid-connect/openid-connect: access tokens are opaque, ID tokens are not.
  google: {
    issuer: 'https://accounts.google.com',
    algorithms: ['RS256'],
    tokenType: 'id_token',
    groups: { source: 'google' },
  },
  // https://www.keycloak.org/docs/latest/server_admin/: RS256, typ JWT, roles below realm_access.
  keycloak: { algorithms: ['RS256'], tokenType: 'JWT', groups: { claims: ['groups', 'realm_access.roles'] } },
  // https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/: bound service account tokens.
  kubernetes: {
    algorithms: ['RS256', 'ES256'],
    tokenType: 'JWT',
    kind: 'service',
    requiredClaims: { 'kubernetes.io': true },
  },
  // https://docs.github.com/actions/reference/security/oidc
  'github-actions': {
    issuer: 'https://token.actions.githubusercontent.com',
    algorithms: ['RS256'],
    tokenType: 'JWT',
    kind: 'service',
    requiredClaims: { repository: true },
    groups: { claims: ['repository', 'repository_owner'] },
  },
};
