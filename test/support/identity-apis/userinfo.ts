import { type ApiAnswer, ApiServer, bearerOf } from './api-server.ts';

/** A userinfo endpoint (OpenID Connect Core §5.3): claims by access token. */
export class FakeUserinfo extends ApiServer {
  readonly claims = new Map<string, Readonly<Record<string, unknown>>>();

  constructor() {
    super((request): ApiAnswer => {
      const claims = this.claims.get(bearerOf(request));
      if (request.path !== '/userinfo') return { status: 404 };
      if (claims !== undefined) return { status: 200, body: claims };
      // §5.3.3, RFC 6750 §3.
      return { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' }, body: '' };
    });
  }

  static async start(): Promise<FakeUserinfo> {
    const userinfo = new FakeUserinfo();
    await userinfo.listen();
    return userinfo;
  }

  get endpoint(): string {
    return `${this.origin}/userinfo`;
  }
}
