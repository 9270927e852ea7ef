/** What the ext_authz edge makes of the identities that Envoy has verified. */
import { describe, expect, test } from 'vitest';
import type { Answer, GateRequest } from '../../../src/checkpoint/stages.ts';
import { createAuthz } from '../../../src/envoy/authz.ts';
import type { CheckRequest } from '../../../src/envoy/wire.ts';
import { createAuthority } from '../../e2e/support/certificates.ts';

const ID = 'spiffe://cluster.local/ns/batch/sa/nightly';
const CERTIFICATE = encodeURIComponent(createAuthority('Mesh CA').issue('nightly', { uri: [ID] }).cert);

const check: CheckRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  host: 'llm.example.com',
  scheme: 'https',
  protocol: 'HTTP/2',
  headers: [['x-request-id', 'r']],
  rawHeaders: true,
  body: Buffer.alloc(0),
  bodyAsString: false,
  sourceAddress: '127.0.0.1',
  sourcePrincipal: '',
  sourceCertificate: '',
  jwtAuthn: undefined,
  contextExtensions: new Map(),
};

interface Passed {
  readonly request: GateRequest;
  readonly misconfigured: readonly string[];
}

/** Sends a Check through the edge in front of a checkpoint that answers `code`. */
async function pass(
  changes: Partial<CheckRequest>,
  { takesPeers = true, code = 'token_missing' as const } = {},
): Promise<Passed> {
  const seen: GateRequest[] = [];
  const misconfigured: string[] = [];
  const answer: Answer = { kind: 'reply', session: 's-1', status: 401, code, headers: [], body: '' };
  const authz = createAuthz({
    checkpoint: async (request) => {
      seen.push(request);
      return answer;
    },
    planKeys: { keys: [] as never },
    refuse: () => answer,
    newSession: () => 's-0',
    takesPeers,
    observe: {
      answered: () => {},
      misconfigured: (field, session) => misconfigured.push(`${field} ${session}`),
      broken: (error) => {
        throw error;
      },
    },
    record: () => {},
    abandoned: () => {},
  });
  await new Promise<void>((resolve) =>
    authz({ ...check, ...changes }, { gone: false, send() {}, answer: () => resolve(), finish() {}, fail() {} }),
  );
  expect(seen).toHaveLength(1);
  return { request: seen[0]!, misconfigured };
}

describe('the mTLS peer', () => {
  test('is the SPIFFE id that Envoy names and the certificate shows', async () => {
    const { request, misconfigured } = await pass({ sourcePrincipal: ID, sourceCertificate: CERTIFICATE });
    expect(request.peer).toBe(ID);
    expect(misconfigured).toEqual([]);
  });

  test('is nobody when Envoy does not send the certificate, and the operator hears why', async () => {
    const { request, misconfigured } = await pass({ sourcePrincipal: ID });
    expect(request.peer).toBe('');
    expect(misconfigured).toEqual(['include_peer_certificate s-1']);
  });

  test.each<[string, Partial<CheckRequest>, object]>([
    ['peers are not taken', { sourcePrincipal: ID }, { takesPeers: false }],
    ['a token was sent', { sourcePrincipal: ID }, { code: 'token_expired' }],
    ['the peer has no SPIFFE id', { sourcePrincipal: 'CN=nightly' }, {}],
    ['there is no mTLS', {}, {}],
  ])('nothing is said of the certificate when %s', async (_name, changes, options) => {
    const { request, misconfigured } = await pass(changes, options);
    expect(request.peer).toBe('');
    expect(misconfigured).toEqual([]);
  });

  test('is never read from a header', async () => {
    const headers = ['x-forwarded-client-cert', 'x-spiffe-id', 'x-forwarded-user', 'x-envoy-peer-metadata-id'].map(
      (name) => [name, name === 'x-forwarded-client-cert' ? `URI=${ID}` : ID] as const,
    );
    const { request } = await pass({ headers: [...check.headers, ...headers] });
    expect(request.peer).toBe('');
  });
});

describe('metadata of jwt_authn', () => {
  test('is undefined when Envoy sends none', async () => {
    expect((await pass({})).request.jwtAuthn).toBeUndefined();
  });

  test('is decoded when it is asked for, and then strictly', async () => {
    // fields {"n": true}, once and twice.
    const field = Buffer.from([0x0a, 0x07, 0x0a, 0x01, 0x6e, 0x12, 0x02, 0x20, 0x01]);
    const { request } = await pass({ jwtAuthn: field });
    expect(request.jwtAuthn?.()).toEqual({ n: true });
    const twice = await pass({ jwtAuthn: Buffer.concat([field, field]) });
    expect(() => twice.request.jwtAuthn?.()).toThrow('a name twice');
  });
});
