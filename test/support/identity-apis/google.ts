import { randomUUID } from 'node:crypto';
import { type CryptoKey, exportPKCS8, generateKeyPair, jwtVerify } from 'jose';
import { type ApiAnswer, type ApiRequest, ApiServer, bearerOf } from './api-server.ts';

export const directoryScope = 'https://www.googleapis.com/auth/admin.directory.group.readonly';
export const cloudIdentityScope = 'https://www.googleapis.com/auth/cloud-identity.groups.readonly';

/** Errors as the Directory API writes them. */
export function directoryError(code: number, reason: string, message: string, domain = 'global'): ApiAnswer {
  return { status: code, body: { error: { code, message, errors: [{ message, domain, reason }] } } };
}

/** Errors as Google's newer APIs write them: https://cloud.google.com/apis/design/errors. */
export function rpcError(code: number, status: string, message: string, reason?: string): ApiAnswer {
  const details =
    reason === undefined ? {} : { details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason }] };
  return { status: code, body: { error: { code, message, status, ...details } } };
}

const oauthError = (status: number, error: string, description: string): ApiAnswer => ({
  status,
  body: { error, error_description: description },
});

export interface AccountKey {
  readonly publicKey: CryptoKey;
  readonly pem: string;
}

export async function makeAccountKey(): Promise<AccountKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  return { publicKey, pem: await exportPKCS8(privateKey) };
}

/** Google's token endpoint for service accounts, the Directory API and the Cloud Identity API, as a gateway sees them. */
export class FakeGoogle extends ApiServer {
  readonly adminSubject = 'admin@example.com';
  readonly clientEmail = 'gateway@project.iam.gserviceaccount.com';
  readonly keyId = 'f5c1f1b0c0a94f1f9a55d1a1c0ffee0000000001';
  /** Groups by address. */
  readonly members = new Map<string, readonly string[]>();
  /** Scopes that an administrator delegated to the service account. */
  delegated: readonly string[] = [directoryScope, cloudIdentityScope];
  pageSize = 200;
  /** Epoch milliseconds by which assertions are judged. */
  now: () => number = Date.now;
  readonly #tokens = new Map<string, string>();
  readonly #key: AccountKey;

  constructor(key: AccountKey) {
    super((request) => this.#route(request));
    this.#key = key;
  }

  /** @param key Making one takes a while: tests that start many servers make one for all. */
  static async start(key?: AccountKey): Promise<FakeGoogle> {
    const google = new FakeGoogle(key ?? (await makeAccountKey()));
    await google.listen();
    return google;
  }

  /** The JSON key file of the service account. */
  get keyFile(): string {
    return JSON.stringify({
      type: 'service_account',
      project_id: 'project',
      private_key_id: this.keyId,
      private_key: this.#key.pem,
      client_email: this.clientEmail,
      client_id: '113475438248934895348',
      auth_uri: 'https://accounts.google.com/o/oauth2/auth',
      token_uri: 'https://oauth2.googleapis.com/token',
      auth_provider_x509_cert_url: 'https://www.googleapis.com/oauth2/v1/certs',
      universe_domain: 'googleapis.com',
    });
  }

  /** The `google:` section for it, but for `api`; the key file is to be written to `key.json`. */
  get section() {
    return {
      serviceAccountFile: 'key.json',
      adminSubject: this.adminSubject,
      url: this.origin,
      tokenUrl: `${this.origin}/token`,
    };
  }

  withdrawTokens(): void {
    this.#tokens.clear();
  }

  #route(request: ApiRequest): ApiAnswer | Promise<ApiAnswer> {
    if (request.method === 'POST' && request.path === '/token') return this.#token(request);
    if (request.path === '/admin/directory/v1/groups') return this.#directory(request);
    if (request.path === '/v1/groups/-/memberships:searchTransitiveGroups') return this.#cloudIdentity(request);
    return { status: 404, headers: { 'content-type': 'text/html' }, body: '<title>Error 404 (Not Found)!!1</title>' };
  }

  async #token({ body }: ApiRequest): Promise<ApiAnswer> {
    const form = new URLSearchParams(body);
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
      return oauthError(400, 'unsupported_grant_type', 'Invalid grant_type');
    const verified = await jwtVerify(form.get('assertion') ?? '', this.#key.publicKey, {
      algorithms: ['RS256'],
      audience: `${this.origin}/token`,
      issuer: this.clientEmail,
      currentDate: new Date(this.now()),
      maxTokenAge: 3600,
    }).catch(() => undefined);
    if (verified === undefined || verified.protectedHeader.kid !== this.keyId)
      return oauthError(400, 'invalid_grant', 'Invalid JWT Signature.');
    const { exp = 0, iat = 0, scope, sub } = verified.payload;
    if (exp - iat > 3600) return oauthError(400, 'invalid_grant', 'Invalid JWT: Token must be a short-lived token.');
    if (sub !== undefined && sub !== this.adminSubject)
      return oauthError(400, 'invalid_grant', 'Invalid email or User ID');
    if (typeof scope !== 'string' || !this.delegated.includes(scope))
      return oauthError(
        401,
        'unauthorized_client',
        'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
      );
    const token = `ya29.c.${randomUUID()}`;
    this.#tokens.set(token, scope);
    return { status: 200, body: { access_token: token, expires_in: 3599, token_type: 'Bearer' } };
  }

  #directory(request: ApiRequest): ApiAnswer {
    const scope = this.#tokens.get(bearerOf(request));
    if (scope === undefined) return directoryError(401, 'authError', 'Invalid Credentials');
    if (scope !== directoryScope)
      return directoryError(403, 'insufficientPermissions', 'Request had insufficient authentication scopes.');
    const groups = this.members.get(request.query.get('userKey') ?? '');
    if (groups === undefined) return directoryError(404, 'notFound', 'Resource Not Found: userKey');
    const { next, slice } = this.#slice(request, groups, Number(request.query.get('maxResults') ?? 200));
    const found = slice.map((email, i) => ({
      kind: 'admin#directory#group',
      id: `03x8tuzt${i}`,
      etag: '"group"',
      email,
      name: email.split('@')[0],
      directMembersCount: '3',
      description: '',
      adminCreated: true,
    }));
    return {
      status: 200,
      body: { kind: 'admin#directory#groups', etag: '"page"', ...(found.length > 0 ? { groups: found } : {}), ...next },
    };
  }

  #cloudIdentity(request: ApiRequest): ApiAnswer {
    if (this.#tokens.get(bearerOf(request)) !== cloudIdentityScope)
      return rpcError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    const query =
      /^member_key_id == '((?:[^'\\]|\\.)*)' && 'cloudidentity\.googleapis\.com\/groups\.discussion_forum' in labels$/.exec(
        request.query.get('query') ?? '',
      );
    if (query?.[1] === undefined) return rpcError(400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.');
    const groups = this.members.get(query[1].replaceAll(/\\(.)/g, '$1'));
    if (groups === undefined)
      return rpcError(403, 'PERMISSION_DENIED', 'Error(2028): Permission denied for resource groups/-.');
    const { next, slice } = this.#slice(request, groups, Number(request.query.get('pageSize') ?? 200));
    const memberships = slice.map((id, i) => ({
      group: `groups/01ksv4uv${i}`,
      groupKey: { id },
      displayName: id.split('@')[0],
      labels: { 'cloudidentity.googleapis.com/groups.discussion_forum': '' },
      relationType: i === 0 ? 'DIRECT' : 'INDIRECT',
      roles: [{ name: 'MEMBER' }],
    }));
    return { status: 200, body: { ...(memberships.length > 0 ? { memberships } : {}), ...next } };
  }

  #slice(request: ApiRequest, groups: readonly string[], asked: number) {
    const size = Math.min(asked, this.pageSize);
    const from = Number(Buffer.from(request.query.get('pageToken') ?? '', 'base64url').toString() || 0);
    const more = from + size < groups.length;
    const next = more ? { nextPageToken: Buffer.from(String(from + size)).toString('base64url') } : {};
    return { slice: groups.slice(from, from + size), next };
  }
}
