import { z } from 'zod';
import { jwtAuthnSection, peersSection } from './config/mesh.ts';
import { oidcProvider } from './config/oidc.ts';
import { samlProvider } from './config/saml.ts';
import { tokensSection } from './config/tokens.ts';

const team = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be lower case letters, digits, - and _, 63 at most')
      .describe('Name of the team: `caller.team`, `team` in models.yaml, and the folder of its policies.'),
    groups: z.array(z.string().min(1)).default([]).describe('Groups whose members are in this team. Default: none.'),
    subjects: z
      .array(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}\/.+$/s, 'must be <provider>/<subject>'))
      .default([])
      .describe(
        'Callers who are in this team whatever their groups, each `<provider>/<subject>`; mTLS peers: `mesh/<SPIFFE id>`. Default: none.',
      ),
  })
  .refine((t) => t.groups.length + t.subjects.length > 0, 'must have groups or subjects');

/** Names of providers that are not in the config: mTLS peers, and none of anybody else's. */
export const meshProvider = 'mesh';

type Placed = readonly [path: readonly (string | number)[], value: string];

function refuseRepeats(ctx: z.RefinementCtx, values: readonly Placed[], what: string): void {
  const seen = new Set<string>();
  for (const [path, value] of values) {
    if (seen.has(value))
      ctx.addIssue({ code: 'custom', path: [...path], message: `${what} "${value}" is there twice` });
    seen.add(value);
  }
}

/** No provider has both: one of them was mistyped, and refuses all of its tokens. */
function refuseSlashTwins(ctx: z.RefinementCtx, issuers: readonly Placed[]): void {
  const seen = new Map<string, string>();
  for (const [path, issuer] of issuers) {
    const bare = issuer.replace(/\/$/, '');
    const before = seen.get(bare) ?? issuer;
    if (before !== issuer)
      ctx.addIssue({
        code: 'custom',
        path: [...path],
        message: `the issuer "${issuer}" differs from "${before}" in the slash at its end only: keep the one that tokens say`,
      });
    seen.set(bare, before);
  }
}

/** The `identity:` section. The gateway refuses to start where nobody could call: without a provider, and without peers. */
export const identitySection = z
  .strictObject({
    providers: z
      .array(oidcProvider)
      .default([])
      .describe(
        'OpenID providers whose tokens are accepted. One here or in `saml` at least, or `peers.allow`. Default: none.',
      ),
    saml: z.array(samlProvider).default([]).describe('SAML 2.0 identity providers. Default: none.'),
    tokens: tokensSection
      .prefault({})
      .describe('Short-lived credentials that the gateway issues for the tokens and assertions of others.'),
    peers: peersSection.prefault({}).describe('Workloads that Envoy has identified by mTLS.'),
    jwtAuthn: jwtAuthnSection.prefault({}).describe('Identities that Envoy’s own jwt_authn filter has verified.'),
    teams: z
      .array(team)
      .default([])
      .describe('Which groups and callers make which team. The first team that fits is the caller’s. Default: none.'),
    tokenCacheEntries: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('Verified tokens kept (by hash) until they expire. Default 10000, about 20 MB when full.'),
  })
  .superRefine((section, ctx) => {
    const names = [
      ...section.providers.map((p, i) => [['providers', i, 'name'], p.name] as const),
      ...section.saml.map((p, i) => [['saml', i, 'name'], p.name] as const),
    ];
    const issuers = [
      ...section.providers.map((p, i) => [['providers', i, 'issuer'], p.issuer] as const),
      ...section.saml.map((p, i) => [['saml', i, 'entityId'], p.entityId] as const),
      // Asked also where an issuer is missing: that is a problem of its own.
    ].filter(([, issuer]) => typeof issuer === 'string');
    refuseRepeats(ctx, names, 'the name');
    for (const [path] of names.filter(([, name]) => name === meshProvider))
      ctx.addIssue({ code: 'custom', path: [...path], message: `"${meshProvider}" is reserved for mTLS peers` });
    refuseRepeats(ctx, issuers, 'the issuer');
    refuseSlashTwins(ctx, issuers);
    refuseRepeats(
      ctx,
      section.teams.map((t, i) => [['teams', i, 'name'], t.name]),
      'the name',
    );
    if (names.length === 0 && section.peers.allow.length === 0)
      ctx.addIssue({
        code: 'custom',
        path: ['providers'],
        message: 'must have a provider (or one in `saml`, or `peers.allow`)',
      });
    const known = new Set(section.providers.map((p) => p.name));
    section.jwtAuthn.providers.forEach((name, i) => {
      if (!known.has(name))
        ctx.addIssue({ code: 'custom', path: ['jwtAuthn', 'providers', i], message: `there is no provider ${name}` });
    });
    if (section.jwtAuthn.enabled && section.jwtAuthn.providers.length === 0)
      ctx.addIssue({ code: 'custom', path: ['jwtAuthn', 'providers'], message: 'must name a provider' });
  });

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

export type IdentityConfig = DeepReadonly<z.output<typeof identitySection>>;
export type ProviderConfig = IdentityConfig['providers'][number];
export type SamlConfig = IdentityConfig['saml'][number];
export type TeamConfig = IdentityConfig['teams'][number];
