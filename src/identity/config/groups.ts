/** Where a provider's groups come from. */
import { z } from 'zod';
import { claimPath, safeUrl, secret } from './values.ts';

const graph = z.strictObject({
  tenant: z
    .string()
    .regex(/^[A-Za-z0-9.-]{1,253}$/, 'must be a tenant id or domain')
    .describe('Entra tenant (directory) id; its domain will do where the issuer has the id in it. Required.'),
  clientId: z.string().min(1).describe('Application that may read memberships (`GroupMember.Read.All`). Required.'),
  clientSecret: secret.describe("The application's secret."),
  tokenUrl: safeUrl
    .optional()
    .describe('Token endpoint. Default `https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token`.'),
  url: safeUrl
    .default('https://graph.microsoft.com/v1.0')
    .describe('Microsoft Graph. Default `https://graph.microsoft.com/v1.0`; national clouds have their own.'),
});

const google = z.strictObject({
  api: z
    .enum(['directory', 'cloudIdentity'])
    .default('directory')
    .describe(
      '`directory`: Admin SDK, direct groups only. `cloudIdentity`: Cloud Identity, also groups within groups. Default `directory`.',
    ),
  serviceAccountFile: z
    .string()
    .min(1)
    .describe('Key file (JSON) of a service account with domain-wide delegation, relative to this file. Required.'),
  adminSubject: z
    .string()
    .min(3)
    .optional()
    .describe('Administrator in whose name the Directory API is asked. Required for `directory`.'),
  url: safeUrl.optional().describe('Base URL of the API. Default: as Google publishes it.'),
  tokenUrl: safeUrl.default('https://oauth2.googleapis.com/token').describe("Google's token endpoint."),
});

/** Everything optional: a preset fills in what is left out. */
export const groupsSection = z.strictObject({
  source: z
    .enum(['claim', 'userinfo', 'entra', 'google'])
    .optional()
    .describe(
      '`claim`: the token. `userinfo`: the OpenID userinfo endpoint, with the caller’s token. `entra`: the token, and Microsoft Graph where the token says that there are too many. `google`: Directory or Cloud Identity API. Default: as the preset says, `claim` without one.',
    ),
  claims: z
    .array(claimPath)
    .min(1)
    .optional()
    .describe(
      'Claims that hold groups, each a string or a list of strings; all count, whatever the source. A claim is a name, a dotted path (`realm_access.roles`), or a list of names where a name has dots itself. Default: as the preset says, `[groups]` without one.',
    ),
  prefix: z
    .string()
    .max(64)
    .optional()
    .describe('Written before each group that `rename` does not name, such as `okta:`. Default: none.'),
  rename: z
    .record(z.string().min(1), z.string().min(1))
    .optional()
    .describe('Group as the provider writes it (an object id, say) → group as rules know it.'),
  onlyRenamed: z.boolean().optional().describe('Leave out every group that `rename` does not name. Default false.'),
  required: z
    .boolean()
    .optional()
    .describe(
      'Whether a caller whose groups cannot be had is refused (`groups_unavailable`). `false`: they go on with the groups that the token itself says, if any, and rules that deny by group do not see the others. Default true.',
    ),
  serviceAccountGroups: z
    .boolean()
    .optional()
    .describe(
      'Add the groups that Kubernetes makes of the name of a service account, `system:serviceaccounts` and `system:serviceaccounts:<namespace>`, where the token has no `groups`. Default: true in the preset `kubernetes`, else false.',
    ),
  cacheSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .optional()
    .describe('Seconds that groups which were asked for are used before they are asked for again. Default 300.'),
  cacheEntries: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('People whose groups are kept. Default 10000; over it the one who was not seen longest is forgotten.'),
  timeoutMs: z
    .int()
    .min(1)
    .max(60_000)
    .optional()
    .describe('Milliseconds that asking may take, paging and one repeat after throttling included. Default 5000.'),
  graph: graph
    .optional()
    .describe('How Microsoft Graph is asked. Required for `entra` unless groups are not required.'),
  google: google.optional().describe('How Google is asked. Required for `google`.'),
});

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
type Section = z.output<typeof groupsSection>;

/** With every default filled in. */
export type GroupsConfig = DeepReadonly<
  { [K in keyof Omit<Section, 'graph' | 'google'>]-?: Exclude<Section[K], undefined> } & Pick<
    Section,
    'graph' | 'google'
  >
>;

export const groupsDefaults = {
  source: 'claim',
  claims: ['groups'],
  prefix: '',
  rename: {},
  onlyRenamed: false,
  required: true,
  serviceAccountGroups: false,
  cacheSeconds: 300,
  cacheEntries: 10_000,
  timeoutMs: 5000,
} as const satisfies GroupsConfig;

/** What of a groups section contradicts itself, as [key, message]. */
export function groupsProblem(groups: GroupsConfig): readonly [string, string] | undefined {
  if (groups.source === 'google' && groups.google === undefined) return ['google', 'is missing (source is google)'];
  if (groups.source === 'google' && groups.google?.api === 'directory' && groups.google.adminSubject === undefined)
    return ['google', 'needs adminSubject for the Directory API'];
  if (groups.source === 'entra' && groups.graph === undefined && groups.required)
    return [
      'graph',
      'is missing: Entra ID leaves groups out of tokens when there are more than 200 (or set required: false)',
    ];
  return undefined;
}
