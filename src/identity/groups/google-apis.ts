import type { HttpAnswer } from '../http.ts';
import type { AccessToken } from './access-token.ts';
import { codeIn, isObject, isThrottled, type Lookup, objectIn } from './lookup.ts';
import type { Page } from './paging.ts';
import { GroupsProblem } from './problem.ts';
import { askWithToken, type Claims } from './source.ts';

export interface GoogleApi {
  /** What it is called in details. */
  readonly name: string;
  /** Where Google publishes it. */
  readonly url: string;
  readonly scope: string;
  /** Path and query that ask for one page of a member's groups; the first page is ''. */
  path(email: string, page: string): string;
  /** The groups in an answer, by e-mail address; undefined: it is not such an answer. */
  groupsIn(body: Claims): readonly unknown[] | undefined;
}

export const apis: Readonly<Record<'directory' | 'cloudIdentity', GoogleApi>> = {
  // https://developers.google.com/workspace/admin/directory/reference/rest/v1/groups/list
  directory: {
    name: 'the Google Directory API',
    url: 'https://admin.googleapis.com',
    scope: 'https://www.googleapis.com/auth/admin.directory.group.readonly',
    path: (email, page) =>
      `/admin/directory/v1/groups?${query({ userKey: email, maxResults: '200', pageToken: page })}`,
    groupsIn(body) {
      // Of no groups it sends the kind alone.
      if (body['kind'] !== 'admin#directory#groups') return undefined;
      return listOf(body['groups'])?.map((group) => group['email']);
    },
  },
  // https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/searchTransitiveGroups
  cloudIdentity: {
    name: 'the Google Cloud Identity API',
    url: 'https://cloudidentity.googleapis.com',
    scope: 'https://www.googleapis.com/auth/cloud-identity.groups.readonly',
    path: (email, page) =>
      `/v1/groups/-/memberships:searchTransitiveGroups?${query({
        // CEL, in which a backslash escapes; there is none in an address that gets here.
        query: `member_key_id == '${email.replaceAll("'", "\\'")}' && 'cloudidentity.googleapis.com/groups.discussion_forum' in labels`,
        pageSize: '200',
        pageToken: page,
      })}`,
    groupsIn: (body) =>
      listOf(body['memberships'])?.map(({ groupKey }) => (isObject(groupKey) ? groupKey['id'] : undefined)),
  },
};

function query(parameters: Readonly<Record<string, string>>): string {
  return new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== '')).toString();
}

/** Google leaves out a list that is empty. */
function listOf(value: unknown): readonly Claims[] | undefined {
  if (value === undefined) return [];
  return Array.isArray(value) && value.every(isObject) ? value : undefined;
}

/** Rejects with GroupsProblem. */
export async function readGooglePage(
  lookup: Lookup,
  accessToken: AccessToken,
  api: GoogleApi,
  url: string,
): Promise<Page> {
  const answer = await askWithToken(lookup, accessToken, url, saysLater);
  const body = objectIn(answer.text);
  if (answer.status !== 200) throw new GroupsProblem(explain(answer, body, api));
  const groups = body && api.groupsIn(body);
  const next = body?.['nextPageToken'] ?? '';
  if (groups === undefined || typeof next !== 'string')
    throw new GroupsProblem(`${api.name} did not answer with a list of groups`);
  return { groups, next: next === '' ? undefined : next };
}

/** https://developers.google.com/workspace/admin/directory/v1/limits: a quota is 429 or 403, told by the reason. */
const quotas = new Set(['rateLimitExceeded', 'userRateLimitExceeded', 'quotaExceeded', 'RATE_LIMIT_EXCEEDED']);

function saysLater(answer: HttpAnswer): boolean {
  if (isThrottled(answer) || answer.status === 500) return true;
  return answer.status === 403 && reasonsIn(objectIn(answer.text)).some((reason) => quotas.has(reason));
}

/**
 * Why Google refused: `error.errors[].reason` (Directory), `error.details[].reason` (google.rpc.ErrorInfo), `error.status`
 * (https://cloud.google.com/apis/design/errors).
 */
function reasonsIn(body: Claims | undefined): readonly string[] {
  const error = body?.['error'];
  if (!isObject(error)) return [];
  const entries = [error['errors'], error['details']].flatMap((list) => (Array.isArray(list) ? list : []));
  const reasons = entries.map((entry: unknown) => (isObject(entry) ? entry['reason'] : undefined));
  return [...reasons, error['status']].filter((reason) => typeof reason === 'string');
}

function explain(answer: HttpAnswer, body: Claims | undefined, api: GoogleApi): string {
  const reasons = reasonsIn(body);
  const what = `${api.name} answered ${answer.status} (${codeIn(reasons[0])})`;
  if (answer.status === 401) return `${what}: it does not take the access token of the service account`;
  if (answer.status === 404) return `${what}: the caller is not in the directory`;
  if (answer.status !== 403) return what;
  if (reasons.some((reason) => reason === 'accessNotConfigured' || reason === 'SERVICE_DISABLED'))
    return `${what}: the API is not enabled in the service account's project`;
  return `${what}: domain-wide delegation or the scope ${api.scope} is missing, adminSubject may not read groups, or the caller is of another domain`;
}
