import { randomUUID } from 'node:crypto';
import { type ApiAnswer, type ApiRequest, ApiServer, bearerOf } from './api-server.ts';

const requestId = '3f2a7c1e-8f4b-4a55-9a55-0c4f0c9f7d11';

/** Errors as Graph writes them: https://learn.microsoft.com/graph/errors. */
export function graphError(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): ApiAnswer {
  const innerError = { date: '2026-01-15T12:00:00', 'request-id': requestId, 'client-request-id': requestId };
  return { status, headers: { 'request-id': requestId, ...headers }, body: { error: { code, message, innerError } } };
}

/** Errors as the token endpoint of Entra ID writes them. */
function entraError(status: number, error: string, code: number, text: string): ApiAnswer {
  return {
    status,
    body: {
      error,
      error_description: `AADSTS${code}: ${text} Trace ID: ${requestId} Correlation ID: ${requestId} Timestamp: 2026-01-15 12:00:00Z`,
      error_codes: [code],
      timestamp: '2026-01-15 12:00:00Z',
      trace_id: requestId,
      correlation_id: requestId,
      error_uri: `https://login.microsoftonline.com/error?code=${code}`,
    },
  };
}

/**
 * Entra ID's token endpoint and Microsoft Graph's `transitiveMemberOf`, as a gateway sees them. Besides groups every user is
 * in a directory role and an administrative unit.
 */
export class FakeGraph extends ApiServer {
  readonly tenant = 'b4f1a8de-23c6-4f5a-8a8e-6a3f2f9c1d00';
  readonly clientId = '6731de76-14a6-49ae-97bc-6eba6914391e';
  readonly clientSecret = 'a+secret/with=signs&more';
  /** Groups by `users/<oid>` or `servicePrincipals/<oid>`. */
  readonly members = new Map<string, readonly string[]>();
  /** Whether the application has been granted its permissions. */
  isGranted = true;
  /** Most entries on a page, below the `$top` that is asked for. */
  pageSize = 999;
  expiresInSeconds = 3599;
  readonly #tokens = new Set<string>();

  constructor() {
    super((request) => this.#route(request));
  }

  static async start(): Promise<FakeGraph> {
    const graph = new FakeGraph();
    await graph.listen();
    return graph;
  }

  /** The `graph:` section for it. The secret is in the environment variable GRAPH_SECRET. */
  get section() {
    return {
      tenant: this.tenant,
      clientId: this.clientId,
      clientSecret: { env: 'GRAPH_SECRET' },
      tokenUrl: `${this.origin}/${this.tenant}/oauth2/v2.0/token`,
      url: `${this.origin}/v1.0`,
    };
  }

  /** Claims of a user with more groups than a token holds, as Entra ID v2.0 writes them. */
  overage(oid: string): Record<string, unknown> {
    return {
      oid,
      tid: this.tenant,
      ver: '2.0',
      _claim_names: { groups: 'src1' },
      _claim_sources: {
        src1: { endpoint: `https://graph.windows.net/${this.tenant}/users/${oid}/getMemberObjects` },
      },
    };
  }

  /** From now on the access tokens that were given out are not taken any more. */
  withdrawTokens(): void {
    this.#tokens.clear();
  }

  #route(request: ApiRequest): ApiAnswer {
    if (request.path === `/${this.tenant}/oauth2/v2.0/token`) return this.#token(request);
    const found = /^\/v1\.0\/((?:users|servicePrincipals)\/[0-9a-f-]{36})\/transitiveMemberOf$/.exec(request.path);
    if (request.method !== 'GET' || found?.[1] === undefined)
      return graphError(400, 'BadRequest', `Resource not found for the segment '${request.path}'.`);
    return this.#memberships(request, found[1]);
  }

  #token({ body, headers, method }: ApiRequest): ApiAnswer {
    const form = new URLSearchParams(body);
    if (method !== 'POST' || headers['content-type'] !== 'application/x-www-form-urlencoded')
      return entraError(400, 'invalid_request', 900144, "The request body must contain the parameter 'grant_type'.");
    if (form.get('grant_type') !== 'client_credentials')
      return entraError(400, 'unsupported_grant_type', 70003, 'The grant type is not supported.');
    if (form.get('client_id') !== this.clientId)
      return entraError(400, 'unauthorized_client', 700016, 'Application was not found in the directory.');
    if (form.get('client_secret') !== this.clientSecret)
      return entraError(401, 'invalid_client', 7000215, 'Invalid client secret provided.');
    if (form.get('scope') !== 'https://graph.microsoft.com/.default')
      return entraError(400, 'invalid_scope', 70011, 'The provided value for the input parameter scope is not valid.');
    const token = `eyJ0eXAiOiJKV1QiLCJub25jZSI6.${randomUUID()}`;
    this.#tokens.add(token);
    const life = this.expiresInSeconds;
    return { status: 200, body: { token_type: 'Bearer', expires_in: life, ext_expires_in: life, access_token: token } };
  }

  #memberships(request: ApiRequest, member: string): ApiAnswer {
    if (!this.#tokens.has(bearerOf(request)))
      return graphError(401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.', {
        'www-authenticate':
          'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"',
      });
    if (!this.isGranted)
      return graphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');
    const groups = this.members.get(member);
    if (groups === undefined)
      return graphError(404, 'Request_ResourceNotFound', `Resource '${member.split('/')[1]}' does not exist.`);
    const top = Number(request.query.get('$top') ?? 100);
    if (!(top >= 1 && top <= 999))
      return graphError(400, 'Request_UnsupportedQuery', 'Invalid page size specified. Must be between 1 and 999.');
    return this.#page(request, entriesOf(groups), Math.min(top, this.pageSize));
  }

  #page(request: ApiRequest, entries: readonly unknown[], size: number): ApiAnswer {
    const from = Number(request.query.get('$skiptoken') ?? 0);
    const more = from + size < entries.length;
    const next = `${this.origin}${request.path}?$select=id&$top=${request.query.get('$top')}&$skiptoken=${from + size}`;
    return {
      status: 200,
      headers: { 'content-type': 'application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8' },
      body: {
        '@odata.context': `${this.origin}/v1.0/$metadata#directoryObjects(id)`,
        ...(more ? { '@odata.nextLink': next } : {}),
        value: entries.slice(from, from + size),
      },
    };
  }
}

function entriesOf(groups: readonly string[]): readonly unknown[] {
  return [
    { '@odata.type': '#microsoft.graph.directoryRole', id: 'd1e7c5d2-7f0b-4b7e-9d3c-5a8e4f6b2c10' },
    ...groups.map((id) => ({ '@odata.type': '#microsoft.graph.group', id })),
    { '@odata.type': '#microsoft.graph.administrativeUnit', id: 'a0a1b2c3-0000-4000-8000-00000000000a' },
  ];
}
