/** One OpenID provider of `identity.providers`. */
import { z } from 'zod';
import { type GroupsConfig, groupsDefaults, groupsProblem, groupsSection } from './groups.ts';
import { type Preset, presetNames, presets } from './presets.ts';
import { algorithm, claimPath, isSafeUrl, providerName, safeUrl, secret } from './values.ts';

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
    file: z
      .string()
      .min(1)
      .optional()
      .describe(
        'JWK set in a file, relative to this file, for providers that cannot be reached. Read again when it changes. Default: fetched.',
      ),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe("PEM file of the CA that signs the provider's certificate. Default: the system's."),
    bearerTokenFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'File with a bearer token to send when discovery and keys are fetched (a Kubernetes API server wants one). Default: none is sent.',
      ),
    allowPrivateAddresses: z
      .boolean()
      .default(false)
      .describe(
        'Whether `jwks_uri` and other endpoints that discovery names may be on an address of a private network where the issuer itself is not. Default false.',
      ),
  })
  .refine((k) => k.refreshAfterSeconds <= k.maxAgeSeconds, 'refreshAfterSeconds must not be above maxAgeSeconds')
  .refine((k) => k.caFile === undefined || k.file === undefined, 'has both file and caFile');

const login = z.strictObject({
  clientId: z.string().min(1).describe('OAuth client of `sallyport login` at the provider. Required.'),
  clientSecret: secret
    .optional()
    .describe(
      'Only for providers that want one from installed applications (Google): it is published in the gateway’s metadata, so it is no secret. Default: a public client.',
    ),
  scopes: z
    .array(z.string().min(1))
    .default(['openid', 'email', 'profile', 'offline_access'])
    .describe('Scopes to ask for. Default `openid email profile offline_access`.'),
  flow: z
    .enum(['browser', 'device'])
    .default('browser')
    .describe(
      '`browser`: code with PKCE, answered on the loopback (RFC 8252). `device`: a code typed elsewhere (RFC 8628). `sallyport login --device` asks for it too. Default `browser`.',
    ),
  resource: z
    .string()
    .min(1)
    .optional()
    .describe('`resource` to ask for (RFC 8707), or `audience` at providers that call it so. Default: none.'),
  exchange: z
    .enum(['access_token', 'id_token'])
    .default('access_token')
    .describe(
      'Which of the provider’s tokens is exchanged for the gateway’s own. `id_token`: for providers whose access tokens are not JWTs (Google); its `aud` must be `clientId`. Default `access_token`.',
    ),
});

const claimValue = z.union([z.string(), z.number(), z.boolean()]);

const options = z.strictObject({
  name: providerName,
  preset: z
    .enum(presetNames)
    .default('generic')
    .describe('Fills in what is left out below for a kind of provider: docs/identity.md says what. Default `generic`.'),
  issuer: safeUrl
    .optional()
    .describe(
      'The `iss` claim, compared character by character; discovery is read below it. Required (`google` and `github-actions` have theirs): without it any issuer would do.',
    ),
  audience: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .describe(
      'Accepted `aud` values; a token needs one of them. Required: without it a token meant for another service would do.',
    ),
  algorithms: z
    .array(algorithm)
    .min(1)
    .optional()
    .describe(
      'Accepted signature algorithms, asymmetric ones only. Required where the preset has none: the token must not choose.',
    ),
  tokenType: z
    .enum(['at+jwt', 'JWT', 'id_token'])
    .optional()
    .describe(
      'Which tokens callers may send, by the `typ` header. Default `at+jwt` (RFC 9068). `JWT` also takes `JWT` or none, for providers that do not set it (Keycloak by default, Entra ID, Auth0); ID, refresh and logout tokens are then refused by their claims. `id_token`: ID tokens only (Google).',
    ),
  authorizedParties: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'OAuth clients whose tokens are taken: `azp`, `client_id`, `appid` or `cid`, whichever the token has; if it has several, all must be named. Default: any.',
    ),
  requiredClaims: z
    .record(z.string().min(1), z.union([claimValue, z.array(claimValue).min(1)]))
    .optional()
    .describe(
      'Claims (name or dotted path) that a token must have: `true` for any value, or the value, or a list of which it must be one (of a list claim, hold one; `[true]` and `[false]` for these two). `email` counts only where `email_verified` is not false. Added to the preset’s; `false` takes one of those away.',
    ),
  subjectClaim: claimPath
    .optional()
    .describe(
      'Claim that names the caller for good (`caller.subject`). Default `sub`; `oid` in the preset `entra`, where `sub` differs from application to application.',
    ),
  emailClaim: claimPath
    .optional()
    .describe(
      'Claim that holds the e-mail address; ignored when `email_verified` is false, or what it holds is no address. ID tokens may also have it in `email`. Default `email`, or as the preset says.',
    ),
  kind: z
    .enum(['auto', 'person', 'service'])
    .optional()
    .describe(
      'What callers of this provider are. Default `auto`: a token that a client got for itself is a service, any other a person.',
    ),
  leewaySeconds: z
    .int()
    .min(0)
    .max(300)
    .default(30)
    .describe('Clock difference in seconds that `exp`, `nbf` and `iat` tolerate. Default 30, at most 300.'),
  jwksUri: safeUrl.optional().describe('Where the signing keys are. Default: as discovery says.'),
  keys: keys.prefault({}).describe('How signing keys are fetched and kept.'),
  groups: groupsSection.prefault({}).describe('Where groups come from, and what they are called here.'),
  login: login.optional().describe('How people sign in with `sallyport login`. Default: they cannot.'),
});

type Options = z.output<typeof options>;
type RequiredClaim = Exclude<NonNullable<Options['requiredClaims']>[string], false>;

const presetOf = (section: Pick<Options, 'preset'>): Preset => presets[section.preset] ?? presets.generic;

/** Asked also where other options are wrong, so that all problems are reported at once: then values may be missing. */
const always = { when: ({ value }: { readonly value: unknown }) => typeof value === 'object' && value !== null };

const written = options
  .refine(({ issuer, preset }) => issuer !== undefined || presetOf({ preset }).issuer !== undefined, {
    ...always,
    path: ['issuer'],
    message: 'is missing',
  })
  .refine(({ algorithms, preset }) => algorithms !== undefined || presetOf({ preset }).algorithms !== undefined, {
    ...always,
    path: ['algorithms'],
    message: 'is missing (the preset has none)',
  })
  .superRefine((section, ctx) => {
    const problem = groupsProblem(groupsIn(section));
    if (problem !== undefined) ctx.addIssue({ code: 'custom', path: ['groups', problem[0]], message: problem[1] });
    for (const [key, message] of presetProblems(section)) ctx.addIssue({ code: 'custom', path: [...key], message });
  });

const groupsIn = (section: Options): GroupsConfig => ({
  ...groupsDefaults,
  ...presetOf(section).groups,
  ...defined(section.groups),
});

/** A provider's own issuer counts as its preset: `generic` makes it no less open. */
const mustNameOf = (section: Options): Preset['mustName'] =>
  presetOf(section).mustName ??
  Object.values(presets).find(({ issuer }) => issuer !== undefined && issuer === section.issuer)?.mustName;

/** What of the written contradicts the preset, as [path, message]. */
function presetProblems(section: Options): (readonly [readonly string[], string])[] {
  const { issuer, requiredClaims = {} } = section;
  const preset = presetOf(section);
  const mustName = mustNameOf(section);
  const isNamed = mustName?.claims.some((name) => !['undefined', 'boolean'].includes(typeof requiredClaims[name]));
  const issuerProblem = issuer !== undefined && isSafeUrl(issuer) ? preset.issuerProblem?.(issuer) : undefined;
  return [
    ...(issuerProblem === undefined ? [] : [[['issuer'], issuerProblem] as const]),
    ...(mustName === undefined || isNamed === true
      ? []
      : [[['requiredClaims'], `must give ${oneOf(mustName.claims)} a value: ${mustName.why}`] as const]),
    ...Object.entries(requiredClaims)
      .filter(([name, wanted]) => wanted === false && !Object.hasOwn(preset.requiredClaims ?? {}, name))
      .map(([name]) => [['requiredClaims', name], 'is not of the preset. Write [false] for the value false'] as const),
  ];
}

const oneOf = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

/** The preset's and the written ones. ID tokens are for their audience, and most have no `azp` (OpenID Connect Core §2). */
function requiredIn(section: Options, tokenType: Options['tokenType']): Record<string, RequiredClaim> {
  const { azp, ...others } = presetOf(section).requiredClaims ?? {};
  const ofPreset = azp === undefined || tokenType === 'id_token' ? others : { azp, ...others };
  const wanted = Object.entries({ ...ofPreset, ...section.requiredClaims });
  return Object.fromEntries(wanted.filter((entry): entry is [string, RequiredClaim] => entry[1] !== false));
}

/** Says everything, presets applied. */
export const oidcProvider = written.transform((section) => {
  const preset = presetOf(section);
  const tokenType = section.tokenType ?? preset.tokenType ?? 'at+jwt';
  return {
    ...section,
    // Both are there: see the refinements.
    issuer: section.issuer ?? preset.issuer ?? '',
    algorithms: [...(section.algorithms ?? preset.algorithms ?? [])],
    tokenType,
    requiredClaims: requiredIn(section, tokenType),
    subjectClaim: section.subjectClaim ?? preset.subjectClaim ?? 'sub',
    emailClaim: section.emailClaim ?? preset.emailClaim ?? 'email',
    kind: section.kind ?? preset.kind ?? 'auto',
    groups: groupsIn(section),
  };
});

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
