/** attacks.md, "Transport and parsing": what HTTP itself allows an attacker to try. */
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { AT_THE_MODEL, type Attempts, attempts, BODY, EVERY_REFUSAL, type Refusal } from './support/attempts.ts';
import { type RawRequest, rawRequest, sendRaw } from './support/raw.ts';

let stack: Stack;
let token: string;
let attempt: Attempts;
beforeAll(async () => {
  stack = await startStack({
    config: EVERY_REFUSAL,
    // Envoy keeps a connection that it has given up for a second; a test need not wait for it.
    envoy: ({ static_resources: { listeners } }) =>
      Object.assign(listeners[0]!.filter_chains[0]!.filters[0]!.typed_config, { delayed_close_timeout: '0.05s' }),
  });
  token = await stack.token('sam');
  attempt = attempts(stack);
});
afterAll(() => stack.close());

const call = (request: RawRequest = {}): Buffer => rawRequest(token, { body: BODY, ...request });
const chunk = (text: string, extension = ''): string => `${text.length.toString(16)}${extension}\r\n${text}\r\n`;
const chunked = (body: string, ...headers: readonly string[]): Buffer =>
  call({ unframed: true, headers: headers.length === 0 ? ['Transfer-Encoding: chunked'] : headers, body });

const SPOOFED = [
  'X-Sallyport-Caller: demo/boss',
  'x-sallyport-caller: demo/second',
  'X-SALLYPORT-TEAM: root',
  'X-Sallyport-Session: mine',
  'X-Sallyport-Upstream: model_other_1',
  'X-Sallyport-Anything: 1',
  'X-Forwarded-For: 10.0.0.1',
  'X-Forwarded-Host: inside.example.com',
  'X-Forwarded-Proto: https',
  'X-Forwarded-User: boss',
  'X-Forwarded-Email: boss@example.com',
  'X-Forwarded-Client-Cert: By=spiffe://a;URI=spiffe://boss',
  'X-Forwarded-Prefix: /admin',
  'Forwarded: for=10.0.0.1;host=inside',
  'X-Real-IP: 10.0.0.1',
  'True-Client-IP: 10.0.0.1',
  'X-Remote-User: boss',
  'Remote-User: boss',
  'X-Auth-Request-User: boss',
  'X-Auth-Request-Email: boss@example.com',
  'X-User: boss',
  'Impersonate-User: boss',
  'X-Envoy-Internal: true',
  'X-Envoy-External-Address: 10.0.0.1',
  'X-Envoy-Original-Path: /admin',
  'X-Envoy-Retry-On: 5xx',
  'X-Envoy-Max-Retries: 9',
  'X-Envoy-Upstream-Rq-Timeout-Ms: 1',
  'X-Envoy-Expected-Rq-Timeout-Ms: 1',
  'X-Envoy-Decorator-Operation: x',
  'X-Request-Id: chosen-by-the-client',
  'Cookie: session=boss',
  'Proxy-Authorization: Basic Ym9zczpib3Nz',
  'X-Original-URL: /admin',
  'X-Rewrite-URL: /admin',
  'X-HTTP-Method-Override: DELETE',
  'X-HTTP-Method: DELETE',
  'X-Method-Override: DELETE',
  'Via: 1.1 proxy',
  'Accept-Encoding: gzip',
  'Range: bytes=0-5',
  'If-None-Match: "x"',
  'X-A: folded\r\n X-Sallyport-Team: root',
];

describe('headers that say who the caller is', () => {
  test('do not reach the model, in whatever case, however often: it gets ours alone', async () => {
    expect((await attempt.passes(call({ headers: SPOOFED }))).headers).toEqual(AT_THE_MODEL);
  });

  test('cannot be taken from the request by listing them in Connection', async () => {
    const connection = 'Connection: close, x-sallyport-caller, x-sallyport-session, x-sallyport-upstream, x-request-id';
    expect((await attempt.passes(call({ headers: [connection, ...SPOOFED] }))).headers).toEqual(AT_THE_MODEL);
  });

  test('a Connection that lists the credential leaves none: 401', async () => {
    const headers = ['Connection: close, authorization'];
    await attempt.refused({ status: 401, code: 'token_missing' }, call({ headers }));
  });

  test.each(['X_Sallyport_Caller: demo/boss', 'x_request_id: 1', 'X-Forwarded_User: boss'])(
    '%s, with an underscore, which some servers read as a hyphen, is refused',
    async (header) => {
      await attempt.refused({ status: 0, detail: 'http1.unexpected_underscore' }, call({ headers: [header] }));
    },
  );

  test('over HTTP/2, and in its trailers, they do not reach the model either', async () => {
    const before = stack.model.arrived.length;
    const session = http2.connect(stack.url);
    try {
      const stream = session.request(
        {
          ':method': 'POST',
          ':path': '/v1/chat/completions',
          ':authority': 'llm.example.com',
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'content-length': BODY.length,
          'x-sallyport-caller': ['demo/boss', 'demo/second'],
          cookie: ['a=1', 'b=2'],
          te: 'trailers',
        },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sallyport-caller': 'demo/boss', 'x-late': '1' }));
      stream.end(BODY);
      const status = await new Promise((resolve) => stream.on('response', (head) => resolve(head[':status'])));
      stream.resume();
      expect(status).toBe(200);
    } finally {
      session.close();
    }
    expect(stack.model.arrived.slice(before).map(({ headers }) => headers)).toEqual([AT_THE_MODEL]);
  });
});

describe('two credentials', () => {
  test.each([
    ['in two Authorization headers', ['Authorization: Bearer another']],
    ['in two kinds of header', ['X-Api-Key: another']],
  ])('%s: 401', async (_name, headers) => {
    await attempt.refused({ status: 401, code: 'credentials_conflict' }, call({ headers }));
  });
  test('one in the query: 401', async () => {
    const path = '/v1/chat/completions?api_key=another';
    await attempt.refused({ status: 401, code: 'credential_in_query' }, call({ path }));
  });
});

describe('paths', () => {
  const notAdmitted: Refusal = { status: 403, code: 'path_not_admitted' };
  const byEnvoy: Refusal = { status: 400, detail: 'path_normalization_failed' };
  test.each<[string, Refusal]>([
    ['/v1/chat%2fcompletions', byEnvoy],
    ['/v1/chat%2Fcompletions', byEnvoy],
    ['/v1/chat%5ccompletions', byEnvoy],
    ['/v1/chat/completions%00', byEnvoy],
    ['/v1/chat/completions#fragment', { status: 400 }],
    ['/v1/chat/completions;x=1', notAdmitted],
    ['/v1/chat/completions%23', notAdmitted],
    ['/v1/chat/completions%3fx', notAdmitted],
    ['/v1/chat/completions%20', notAdmitted],
    ['/v1/chat%252fcompletions', notAdmitted],
    ['/v1/%252e%252e/v1/chat/completions', notAdmitted],
    ['/V1/Chat/Completions', notAdmitted],
    ['/v1/chat/completions/', notAdmitted],
    ['/v1/chat/completions/..', notAdmitted],
    ['/v1/chat', notAdmitted],
    ['/', notAdmitted],
    [`/v1/${'a'.repeat(9_000)}`, notAdmitted],
    ['*', { status: 0 }],
    ['v1/chat/completions', { status: 0 }],
    ['https://llm.example.com/v1/chat/completions', { status: 0 }],
    ['/v1/chat/compl\xe9tions', { status: 0 }],
    ['/v1/chat/completions x', { status: 0 }],
  ])('%s is refused', async (path, refusal) => {
    await attempt.refused(refusal, call({ path }));
  });

  test.each([
    '/v1/%2e%2e/v1/chat/completions',
    '/v1/chat/./completions',
    '/v1/x/../chat/completions',
    '//v1//chat///completions',
    '/v1/chat\\completions',
    '/v1/ch%61t/completions',
    'http://llm.example.com/v1/chat/completions',
    'http://user:word@llm.example.com/v1/chat/completions',
  ])('%s is read as the one path that it means, and reaches the model as that', async (path) => {
    const arrived = await attempt.passes(call({ path }));
    expect(arrived.url).toBe('/v1/chat/completions');
    expect(arrived.headers.host).toBe('llm.example.com');
  });
});

describe('the host', () => {
  test.each<[string, RawRequest, Refusal]>([
    ['twice', { headers: ['Host: other.example.com'] }, { status: 400, code: 'invalid_request', detail: 'Host' }],
    ['empty', { host: '' }, { status: 400, code: 'invalid_request', detail: 'Host' }],
    ['with a path', { host: 'llm.example.com/../x' }, { status: 0, detail: 'http.invalid_authority' }],
    ['with a user', { host: 'boss@llm.example.com' }, { status: 400, code: 'invalid_request', detail: 'Host' }],
  ])('%s is refused', async (_name, request, refusal) => {
    await attempt.refused(refusal, call(request));
  });
  test('of an absolute path is the one that counts (RFC 9112, section 3.2.2)', async () => {
    const path = 'http://other.example.com/v1/chat/completions';
    expect((await attempt.passes(call({ path }))).headers.host).toBe('other.example.com');
  });
  test('missing is refused', async () => {
    await attempt.refused(
      { status: 400 },
      call()
        .toString('latin1')
        .replace(/Host: .*\r\n/, ''),
    );
  });
});

describe('methods', () => {
  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY'])(
    '%s on the path of a call is refused',
    async (method) => {
      await attempt.refused({ status: 403, code: 'path_not_admitted' }, call({ method }));
    },
  );
  test.each(['post', 'POST1', 'FOO', 'POST\tx'])('%j is no method', async (method) => {
    await attempt.refused({ status: 0 }, call({ method }));
  });
  test('a GET with a body for the list of models is answered by the gate, body unread', async () => {
    const before = stack.model.arrived.length;
    const answer = await sendRaw(stack.port, call({ method: 'GET', path: '/v1/models' }));
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ data: [{ id: 'demo' }] });
    expect(stack.model.arrived.length).toBe(before);
  });
});

describe('framing', () => {
  test.each<[string, () => Buffer, string | RegExp]>([
    ['Content-Length and Transfer-Encoding', () => call({ headers: ['Transfer-Encoding: chunked'] }), /chunked/],
    [
      'Transfer-Encoding and Content-Length',
      () => chunked(`${chunk(BODY)}0\r\n\r\n`, 'Transfer-Encoding: chunked', 'Content-Length: 3'),
      /chunked/,
    ],
    ['an unknown transfer encoding', () => chunked(`${chunk(BODY)}0\r\n\r\n`, 'Transfer-Encoding: xchunked'), /./],
    ['a space before the colon', () => chunked(`${chunk(BODY)}0\r\n\r\n`, 'Transfer-Encoding : chunked'), /./],
    ['chunked that is not last', () => chunked(`${chunk(BODY)}0\r\n\r\n`, 'Transfer-Encoding: chunked, identity'), /./],
    ['stacked transfer encodings', () => chunked(`${chunk(BODY)}0\r\n\r\n`, 'Transfer-Encoding: gzip, chunked'), /./],
    ['two lengths that differ', () => call({ headers: ['Content-Length: 5'] }), /./],
    ['a length with a sign', () => call({ unframed: true, headers: [`Content-Length: +${BODY.length}`] }), /./],
    ['a chunk size that is no number', () => chunked(`zz\r\n${BODY}\r\n0\r\n\r\n`), /./],
    ['a chunk size beyond 64 bits', () => chunked(`fffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`), /./],
    ['HTTP/1.0', () => call({ version: 'HTTP/1.0' }), 'low_version'],
    ['a NUL in a header', () => call({ headers: ['X-A: b\0c'] }), /./],
  ])('%s: the connection is closed', async (_name, bytes, detail) => {
    await attempt.refused({ status: 0, detail }, bytes());
  });

  test.each([
    ['HTTP/0.9', () => 'GET /v1/models\r\n\r\n'],
    ['HTTP/2.0 in the request line', () => call({ version: 'HTTP/2.0' })],
    ['no HTTP at all', () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('%s gets no answer', async (_name, bytes) => {
    const before = stack.model.arrived.length;
    expect((await sendRaw(stack.port, bytes())).status).toBe(0);
    expect(stack.model.arrived.length).toBe(before);
  });

  test.each([
    ['without a length, in one chunk', () => chunked(`${chunk(BODY)}0\r\n\r\n`)],
    [
      'in two chunks with extensions',
      () => chunked(`${chunk(BODY.slice(0, 9), ';a=b')}${chunk(BODY.slice(9))}0\r\n\r\n`),
    ],
    ['with trailers', () => chunked(`${chunk(BODY)}0\r\nX-Sallyport-Caller: boss\r\nAuthorization: Bearer x\r\n\r\n`)],
  ])('a body %s reaches the model as it was, and nothing else of it', async (_name, bytes) => {
    const { body, headers } = await attempt.passes(bytes());
    expect(body.toString()).toBe(BODY);
    const { 'content-length': _, ...rest } = AT_THE_MODEL;
    expect(headers).toEqual({ ...rest, 'transfer-encoding': 'chunked' });
  });

  test('each of two requests on one connection is judged by itself', async () => {
    const before = stack.model.arrived.length;
    const answer = await sendRaw(
      stack.port,
      call({ headers: ['Connection: keep-alive'] }),
      rawRequest('not-a-token', { body: BODY }),
    );
    expect(answer.received.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401']);
    expect(stack.model.arrived.length).toBe(before + 1);
  });

  test('Expect: 100-continue is answered by Envoy, and the model gets the body without it', async () => {
    const before = stack.model.arrived.length;
    const answer = await sendRaw(stack.port, call({ headers: ['Expect: 100-continue'] }));
    expect(answer.received.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200']);
    expect(stack.model.arrived[before]!.headers).toEqual(AT_THE_MODEL);
  });

  test('line feeds alone end lines too (RFC 9112, section 2.2): the model gets a clean request', async () => {
    const { headers, body } = await attempt.passes(call().toString('latin1').replaceAll('\r\n', '\n'));
    expect(headers).toEqual(AT_THE_MODEL);
    expect(body.toString()).toBe(BODY);
  });
});

describe('upgrades', () => {
  const refused: Refusal = { status: 403, code: 'upgrade_refused' };
  test('a WebSocket is refused', async () => {
    const headers = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    await attempt.refused(refused, rawRequest(token, { method: 'GET', headers }));
    await attempt.refused(refused, call({ headers }));
  });
  test('CONNECT is refused, to a host and to itself', async () => {
    const lines = `Host: llm.example.com:443\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    await attempt.refused(refused, `CONNECT llm.example.com:443 HTTP/1.1\r\n${lines}`);
    await attempt.refused(refused, `CONNECT 127.0.0.1:${stack.port} HTTP/1.1\r\n${lines}`);
  });
  test('h2c is not taken up: the request passes as what it is', async () => {
    const headers = ['Connection: close, Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
    expect((await attempt.passes(call({ headers }))).headers).toEqual(AT_THE_MODEL);
  });
  test.each(['application/grpc', 'application/grpc+json'])(
    'the content type %s is refused in the terms of gRPC',
    async (contentType) => {
      const answer = await attempt.refused(
        { status: 200, code: 'upgrade_refused', detail: 'gRPC' },
        call({ contentType }),
      );
      expect(answer.headers.get('grpc-status')).toBe('7');
    },
  );
  test.each(['Application/GRPC', 'application/grpc-web+proto'])(
    'the content type %s is refused',
    async (contentType) => {
      await attempt.refused(refused, call({ contentType }));
    },
  );
});
