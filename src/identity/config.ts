import { z } from 'zod';

/** Asymmetric signature algorithms only (RFC 7518 §3.1, RFC 8037, RFC 9864): a shared secret would let every verifier sign. */
const algorithm = z.enum([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]);

const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** True for https, and for http on this machine: keys fetched in the clear elsewhere are anybody's keys. */
export function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback.has(url.hostname));
}

const safeUrl = z
  .string()
  .refine(isSafeUrl, 'must be an https URL (http only on the loopback), without user or fragment');

const claimPath = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

const keys = z
  .strictObject({
    refreshAfterSeconds: z
      .int()
      .min(1)
      .default(600)
      .describe(
        'Seconds after which signing keys are fetched again, in the background. Default 600: a withdrawn key is noticed within ten minutes.',
      ),
    maxAgeSeconds: z
      .int()
      .min(1)
      .default(3600)
      .describe(
        'Seconds that keys may be used without a successful fetch; after that every token of the provider is refused. Default 3600: an outage of the provider of up to an hour stops nobody.',
      ),
    cooldownSeconds: z
      .int()
      .min(1)
      .default(30)
      .describe(
        'Seconds between two fetches for the sake of an unknown key id. Default 30: made-up key ids cannot make the gateway flood the provider.',
      ),
    timeoutMs: z
      .int()
      .min(1)
      .default(5000)
      .describe('Milliseconds that one fetch may take, body included. Default 5000.'),
    maxBytes: z
      .int()
      .min(1024)
      .default(262_144)
      .describe('Longest discovery document or key set in bytes. Default 262144 (256 KiB).'),
  })
  .refine((k) => k.refreshAfterSeconds <= k.maxAgeSeconds, 'refreshAfterSeconds must not be above maxAgeSeconds');

const provider = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be lower case letters, digits, - and _, 63 at most')
    .describe('Name of the provider on the record and in rules (`caller.provider`). Required.'),
  issuer: safeUrl.describe(
    'The `iss` claim, compared character by character; discovery is read below it. Required: without it any issuer would do.',
  ),
  audience: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .describe(
      'Accepted `aud` values; a token needs one of them. Required: without it a token meant for another service would do.',
    ),
  algorithms: z
    .array(algorithm)
    .min(1)
    .describe('Accepted signature algorithms, asymmetric ones only. Required: the token must not choose.'),
  tokenType: z
    .enum(['at+jwt', 'JWT'])
    .default('at+jwt')
    .describe(
      'The `typ` header of access tokens. Default `at+jwt` (RFC 9068). `JWT` also takes `JWT` or none, for providers that do not set it (Keycloak by default, Entra ID, Auth0); ID, refresh and logout tokens are then refused by their claims.',
    ),
  jwksUri: safeUrl.optional().describe('Where the signing keys are. Default: as discovery says.'),
  groupsClaim: claimPath
    .default('groups')
    .describe(
      'Claim that holds the groups: a name, a dotted path (`realm_access.roles`), or a list of names where a name has dots itself. Default `groups`.',
    ),
  emailClaim: claimPath
    .default('email')
    .describe('Claim that holds the e-mail address; ignored when `email_verified` is false. Default `email`.'),
  leewaySeconds: z
    .int()
    .min(0)
    .max(300)
    .default(30)
    .describe('Clock difference in seconds that `exp`, `nbf` and `iat` tolerate. Default 30, at most 300.'),
  keys: keys.prefault({}).describe('How signing keys are fetched and kept.'),
});

const team = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be lower case letters, digits, - and _, 63 at most')
    .describe('Name of the team: `caller.team`, `team` in models.yaml, and the folder of its policies.'),
  groups: z.array(z.string().min(1)).min(1).describe('Groups whose members are in this team.'),
});

function refuseRepeats(ctx: z.RefinementCtx, values: readonly string[], path: string, what: string): void {
  values.forEach((value, index) => {
    if (values.indexOf(value) !== index)
      ctx.addIssue({ code: 'custom', path: [path, index], message: `${what} "${value}" is there twice` });
  });
}

/** The `identity:` section. The gateway refuses to start without a provider that names issuer, audience and algorithms. */
export const identitySection = z
  .strictObject({
    providers: z.array(provider).min(1).describe('OpenID providers whose access tokens are accepted; one at least.'),
    teams: z
      .array(team)
      .default([])
      .describe('Which groups make which team. The first team with a group of the caller is theirs. Default: none.'),
    tokenCacheEntries: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('Verified tokens kept (by hash) until they expire. Default 10000, about 20 MB when full.'),
  })
  .superRefine((section, ctx) => {
    refuseRepeats(
      ctx,
      section.providers.map((p) => p.name),
      'providers',
      'the name',
    );
    refuseRepeats(
      ctx,
      section.providers.map((p) => p.issuer),
      'providers',
      'the issuer',
    );
    refuseRepeats(
      ctx,
      section.teams.map((t) => t.name),
      'teams',
      'the name',
    );
  });

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

export type IdentityConfig = DeepReadonly<z.output<typeof identitySection>>;
export type ProviderConfig = IdentityConfig['providers'][number];
