import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import type { Caller, Identification, Identifier, Proof } from '../../../src/identity/caller.ts';
import { type IdentityConfig, identitySection, type ProviderConfig } from '../../../src/identity/config.ts';
import { createGroupsReader } from '../../../src/identity/groups/reader.ts';
import { createIdentifier, type IdentifierParts, type TokenIdentifier } from '../../../src/identity/identifier.ts';
import type { Revocations } from '../../../src/identity/issued/issued.ts';
import { providerHttp } from '../../../src/identity/provider-http.ts';

export const epoch = Date.UTC(2026, 0, 15, 12, 0, 0);
export const audience = 'https://gateway.test';

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function makeKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

type Answer = (req: IncomingMessage, res: ServerResponse) => void;

/** A real OpenID provider, as far as a resource server sees one: discovery and keys over HTTP, counted. */
export class TestProvider {
  readonly #server = createServer((req, res) => {
    const path = new URL(req.url ?? '/', 'http://provider').pathname;
    this.requests.push(path);
    const answer = this.answers[path];
    if (answer === undefined) res.writeHead(404).end();
    else answer(req, res);
  });
  readonly requests: string[] = [];
  issuer = '';
  keys: JWK[] = [];
  answers: Record<string, Answer> = {};

  static async start(...keys: SigningKey[]): Promise<TestProvider> {
    const provider = new TestProvider();
    await new Promise<void>((resolve) => provider.#server.listen(0, '127.0.0.1', resolve));
    const { port } = provider.#server.address() as AddressInfo;
    provider.issuer = `http://127.0.0.1:${port}`;
    provider.keys = keys.map((key) => key.publicJwk);
    provider.answers = {
      '/.well-known/openid-configuration': json(() => ({
        issuer: provider.issuer,
        jwks_uri: `${provider.issuer}/jwks`,
      })),
      '/jwks': json(() => ({ keys: provider.keys })),
    };
    return provider;
  }

  /** How often the keys were fetched. */
  get keyFetches(): number {
    return this.requests.filter((path) => path === '/jwks').length;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function json(value: () => unknown): Answer {
  return (_req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value()));
}

/** The identity section for one provider, with what a test wants different. */
export function configFor(
  provider: TestProvider,
  overrides: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): IdentityConfig {
  return identitySection.parse({
    providers: [{ name: 'corp', issuer: provider.issuer, audience, algorithms: ['ES256', 'RS256'], ...overrides }],
    ...more,
  });
}

/** What a request with nothing but a token brings. */
export const bearer = (token: string): Proof => ({ token, peer: '', jwtAuthn: undefined });

export const atEpoch = Math.floor(epoch / 1000);

export function goodClaims(provider: TestProvider): JWTPayload {
  return {
    iss: provider.issuer,
    aud: audience,
    sub: 'jane',
    iat: atEpoch - 10,
    exp: atEpoch + 600,
    groups: ['ml-eng'],
  };
}

export interface TokenParts {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly key: SigningKey;
}

/** A correctly signed access token; `undefined` in `claims` or `header` takes a member away. */
export async function tokenOf(provider: TestProvider, parts: TokenParts): Promise<string> {
  const header = { alg: parts.key.alg, kid: parts.key.kid, typ: 'at+jwt', ...parts.header };
  const claims = { ...goodClaims(provider), ...parts.claims };
  return new SignJWT(claims).setProtectedHeader(header as { alg: string }).sign(parts.key.privateKey);
}

/** Sends a token that is issued now; `ok`, or why it was refused. */
export async function outcomeOf(
  identifier: Identifier,
  provider: TestProvider,
  parts: { readonly key: SigningKey; readonly nowMs: number; readonly sub?: string },
): Promise<string> {
  const claims = { sub: parts.sub ?? 'jane', exp: parts.nowMs / 1000 + 600, iat: parts.nowMs / 1000 };
  const answer = await identifier.identify(bearer(await tokenOf(provider, { key: parts.key, claims })));
  return answer.ok ? 'ok' : answer.reason;
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** Signs texts as they are, so that a test can write headers and claims that no library would. */
export async function signRaw(header: string, claims: string | Uint8Array, key: SigningKey): Promise<string> {
  const input = `${encode(header)}.${Buffer.from(claims).toString('base64url')}`;
  const algorithm = key.alg === 'ES256' ? { name: 'ECDSA', hash: 'SHA-256' } : { name: 'RSASSA-PKCS1-v1_5' };
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

/** Identifies callers as the gateway does, at a clock that the test moves. */
export function identifierOf(
  config: IdentityConfig,
  now: () => number,
  more: Partial<IdentifierParts> = {},
): TokenIdentifier {
  return createIdentifier(config, partsOf(now, more));
}

export function partsOf(now: () => number, more: Partial<IdentifierParts> = {}): IdentifierParts {
  const readSecret = () => Promise.reject(new Error('there are no secrets here'));
  const groupsOf = (provider: ProviderConfig) =>
    createGroupsReader(provider, { http: providerHttp(provider), now, readSecret });
  return { now, httpFor: providerHttp, groupsOf, ...more };
}

/** What a request brings, all of it. */
export const proof = (more: Partial<Proof>): Proof => ({ token: undefined, peer: '', jwtAuthn: undefined, ...more });

/** Dynamic metadata of Envoy's jwt_authn filter with one payload. */
export const metadata = (claims: object) => () => ({ payload: claims });

export function callerOf(answer: Identification): Caller {
  if (!answer.ok) throw new Error(`${answer.reason}: ${answer.detail}`);
  return answer.caller;
}

/** Answers for every caller alike, and remembers who was asked about. */
export function revoking(answer: () => ReturnType<Revocations['check']>): Revocations & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    check: (caller) => {
      asked.push(`${caller.provider}/${caller.subject}`);
      return answer();
    },
    revokeToken: () => Promise.reject(new Error('not here')),
    revokeSubject: () => Promise.reject(new Error('not here')),
  };
}
