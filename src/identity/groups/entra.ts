import type { GroupsConfig } from '../config/groups.ts';
import { isSafeUrl } from '../config/values.ts';
import type { ProviderConfig } from '../config.ts';
import type { HttpAnswer } from '../http.ts';
import { AccessToken } from './access-token.ts';
import { overageProblem } from './claims.ts';
import { codeIn, isObject, type Lookup, objectIn } from './lookup.ts';
import { type Page, readPages } from './paging.ts';
import { GroupsProblem } from './problem.ts';
import { askWithToken, type Claims, type GroupsParts, type GroupsSource } from './source.ts';

type Graph = NonNullable<GroupsConfig['graph']>;

const graph = 'Microsoft Graph';
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Graph of the national clouds, each its own audience: https://learn.microsoft.com/graph/deployments. */
const clouds = new Set([
  'graph.microsoft.com',
  'graph.microsoft.us',
  'dod-graph.microsoft.us',
  'microsoftgraph.chinacloudapi.cn',
]);

/**
 * Groups of a caller whose token has too many of them (overage), by Microsoft Graph in the name of an application. The
 * endpoint that `_claim_sources` names is never followed: it is of the retired graph.windows.net, and a token must not say
 * where the gateway sends requests.
 */
export function entraSource(provider: ProviderConfig, parts: GroupsParts): GroupsSource {
  const config = provider.groups.graph;
  const accessToken = config && accessTokenFor(config, parts);
  const tenant = config && tenantOf(config, provider.issuer);
  return {
    questionFor({ claims, overage }) {
      if (!overage) return undefined;
      if (config === undefined || accessToken === undefined) return `${overageProblem}, and no \`graph\` is configured`;
      const { oid, tid } = claims;
      if (tenant === undefined) return 'the tenant must be configured by its id, not its domain, for Graph to be asked';
      if (typeof tid !== 'string' || tid.toLowerCase() !== tenant) return 'tid is not the configured tenant';
      if (typeof oid !== 'string' || !guid.test(oid)) return 'oid is missing or not an object id';
      const kind = isApplication(claims) ? 'servicePrincipals' : 'users';
      const url = `${config.url.replace(/\/$/, '')}/${kind}/${oid.toLowerCase()}/transitiveMemberOf?$select=id&$top=999`;
      return {
        key: `${tenant} ${kind} ${oid.toLowerCase()}`,
        ask: (lookup) => readPages(graph, url, (place) => readPage(lookup, accessToken, place, config.url)),
      };
    },
  };
}

/** A domain would do for asking, but a token names its tenant by id alone; the issuer of Entra ID has it in its path. */
function tenantOf(config: Graph, issuer: string): string | undefined {
  if (guid.test(config.tenant)) return config.tenant.toLowerCase();
  return new URL(issuer).pathname
    .split('/')
    .find((part) => guid.test(part))
    ?.toLowerCase();
}

/**
 * https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference: `idtyp` is `app` in tokens that an
 * application got for itself, if it is there at all; without it `sub` and `oid` are then the same.
 */
function isApplication({ idtyp, oid, sub }: Claims): boolean {
  return idtyp === undefined ? oid === sub : idtyp === 'app';
}

export const graphTokenUrl = ({ tokenUrl, tenant }: Graph): string =>
  tokenUrl ?? `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`;

/** https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow. */
function accessTokenFor(config: Graph, { now, readSecret }: GroupsParts): AccessToken {
  const { host, origin } = new URL(config.url);
  const audience = clouds.has(host) ? origin : 'https://graph.microsoft.com';
  return new AccessToken({
    url: graphTokenUrl(config),
    now,
    form: async () => ({
      grant_type: 'client_credentials',
      client_id: config.clientId,
      client_secret: await readSecret(config.clientSecret).catch((cause: unknown) => {
        throw new GroupsProblem('the client secret for Microsoft Graph cannot be read', { cause });
      }),
      scope: `${audience}/.default`,
    }),
    explain: (error) => /\bAADSTS\d{1,9}\b/.exec(String(error['error_description']))?.[0],
  });
}

/**
 * https://learn.microsoft.com/graph/api/user-list-transitivememberof: the paged one. getMemberGroups and getMemberObjects
 * answer all at once, but fail over 11,000 (Directory_ResultSizeLimitExceeded), where Microsoft refers to this one. Without
 * a cast to groups: that is an "advanced query", which may lag behind (ConsistencyLevel: eventual).
 */
async function readPage(lookup: Lookup, accessToken: AccessToken, url: string, base: string): Promise<Page> {
  const answer = await askWithToken(lookup, accessToken, url);
  const body = objectIn(answer.text);
  if (answer.status !== 200) throw new GroupsProblem(explain(answer, body));
  const { value, '@odata.nextLink': next } = body ?? {};
  if (!Array.isArray(value) || !value.every((entry) => isObject(entry) && typeof entry['@odata.type'] === 'string'))
    throw new GroupsProblem(`${graph} did not answer with a list of directory objects`);
  if (next !== undefined && (typeof next !== 'string' || !isBelow(next, base)))
    throw new GroupsProblem(`${graph} named a next page that is not its own`);
  // Directory roles and administrative units are memberships too.
  const groups = value.filter((entry) => entry['@odata.type'] === '#microsoft.graph.group');
  return { groups: groups.map(({ id }) => id), next };
}

/** The next page goes out with our access token: it must be of the configured API. */
function isBelow(link: string, base: string): boolean {
  const { origin, pathname } = new URL(base);
  const url = isSafeUrl(link) ? new URL(link) : undefined;
  return url?.origin === origin && url.pathname.startsWith(`${pathname.replace(/\/$/, '')}/`);
}

/** https://learn.microsoft.com/graph/errors: `{error: {code, message, innerError}}`. */
function explain({ status }: HttpAnswer, body: Claims | undefined): string {
  const error = body?.['error'];
  const what = `${graph} answered ${status} (${codeIn(isObject(error) ? error['code'] : undefined)})`;
  if (status === 401) return `${what}: it does not take the access token of the application`;
  if (status === 403)
    return `${what}: the application lacks a permission (GroupMember.Read.All; for applications also Application.Read.All), or consent to it`;
  if (status === 404) return `${what}: the caller is not in the directory any more`;
  return what;
}
