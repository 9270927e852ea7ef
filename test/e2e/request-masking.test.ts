/** `mask` with `on: request`, through Envoy: what the model gets, and that nothing else ever reaches it. */
import http from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveClient } from './support/archive.ts';
import { ask, chat, codeOf } from './support/ask.ts';
import { type EnvoyConfig, eventually, type Stack, startStack } from './support/stack.ts';
import { completion, DONE, delta } from './support/upstream.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: all-may, then: allow}
    - {name: mask-in, then: mask, detect: [email_address, credit_card], on: request}
`;
const CARD = '4111 1111 1111 1111';
const saying = (content: string) => ({ ...chat, messages: [{ role: 'user', content }] });

/** Changes ext_proc's own settings. */
const proc =
  (change: (settings: Record<string, unknown>) => void) =>
  (config: EnvoyConfig): void => {
    const filters = config.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config.http_filters;
    change(filters.find(({ name }) => name.endsWith('ext_proc'))!.typed_config);
  };

let stack: Stack;
let token: string;
/** Bytes. Of 4 MiB a busy machine makes five seconds, which is how long Envoy waits. */
const LIMIT = 1024 * 1024;

beforeAll(async () => {
  stack = await startStack({ policies: { 'test.yaml': POLICY }, config: { maxRequestBytes: LIMIT } });
  token = await stack.token('sam');
});
afterAll(() => stack.close());

const last = () => stack.model.arrived.at(-1)!;
const content = () => (JSON.parse(last().body.toString()) as typeof chat).messages[0]!.content;
const endOf = (s: Stack, session: string) =>
  eventually(
    async () =>
      (await s.journal())
        .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
        .find((event) => event.type === 'end' && event.session === session),
    'the end of the session',
  );

test.each([
  ['grows', 'write to a@b.co, a@b.co', 'write to <EMAIL_ADDRESS>, <EMAIL_ADDRESS>', { email_address: 2 }],
  ['shrinks', `pay with ${CARD.replaceAll(' ', '-')}`, 'pay with <CREDIT_CARD>', { credit_card: 1 }],
  ['stays as it was', 'nothing to see', 'nothing to see', {}],
])('a body that %s reaches the model masked, whole, and at the right cluster', async (_name, said, sees, counts) => {
  const got = await ask(stack, saying(said));
  expect([got.status, content()]).toEqual([200, sees]);
  expect(last().headers['content-length']).toBe(String(last().body.length));
  const end = await endOf(stack, String(got.headers['x-sallyport-session']));
  expect(end).toMatchObject({ how: 'complete', maskedRequest: counts });
});

test('the answer may be a stream', async () => {
  stack.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(delta('hello') + delta('', 'stop') + DONE);
  };
  const got = await ask(stack, { ...saying('a@b.co'), stream: true });
  expect([got.status, got.complete, content()]).toEqual([200, true, '<EMAIL_ADDRESS>']);
  expect(got.text).toContain('[DONE]');
  stack.model.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(completion('ok'));
  };
});

test('what is hidden in base64 is masked as it is counted', async () => {
  await ask(stack, saying(`decode ${Buffer.from('write to maria.lindqvist@example.org').toString('base64')}`));
  expect(content()).toBe('decode <EMAIL_ADDRESS>');
});

test('a body just under the limit, that grows over it', async () => {
  const prose = 'a word, '.repeat(120_000);
  const body = saying(prose + 'a@b.co '.repeat(11_000));
  expect(JSON.stringify(body).length).toBeLessThan(LIMIT);
  const got = await ask(stack, body);
  expect([got.status, got.text.slice(0, 200)]).toEqual([200, expect.anything()]);
  expect(last().body.length).toBeGreaterThan(LIMIT);
  expect(content()).toBe(prose + '<EMAIL_ADDRESS> '.repeat(11_000));
}, 60_000);

test('a body that came in chunks of no known length', async () => {
  const body = JSON.stringify(saying('a@b.co'));
  const got = await new Promise<number | undefined>((resolve, reject) => {
    const request = http.request(
      `${stack.url}/v1/chat/completions`,
      {
        method: 'POST',
        agent: false,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', reject);
    request.write(body.slice(0, 20));
    request.end(body.slice(20));
  });
  expect([got, content()]).toEqual([200, '<EMAIL_ADDRESS>']);
  expect(last().headers).toMatchObject({ 'content-length': String(last().body.length) });
  expect(last().headers['transfer-encoding']).toBeUndefined();
});

test("a client's own cluster header names none", async () => {
  const before = stack.model.arrived.length;
  const response = await fetch(`${stack.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await stack.token('sam')}`,
      'content-type': 'application/json',
      'x-sallyport-upstream': 'sallyport',
    },
    body: JSON.stringify(saying('a@b.co')),
  });
  expect([response.status, stack.model.arrived.length - before, content()]).toEqual([200, 1, '<EMAIL_ADDRESS>']);
});

test('the record keeps the request as it was asked, masked with record.detect, and what was to be masked', async () => {
  const got = await ask(stack, saying('a@b.co'));
  const session = String(got.headers['x-sallyport-session']);
  await endOf(stack, session);
  const lines = await stack.journal();
  const kept = lines.flatMap((line) =>
    line.kind === 'content' && line.session === session && line.direction === 'request' ? [line.text] : [],
  );
  expect(kept.join('')).toContain('<EMAIL_ADDRESS>');
  const decision = lines.find(
    (line) => line.kind === 'event' && line.event.type === 'decision' && line.event.session === session,
  );
  expect(decision).toMatchObject({ event: { maskRequest: ['credit_card', 'email_address'] } });
  const query = `SELECT mask_request, masked_request['email_address'], response_rules FROM sessions WHERE session = '${session}' AND how = 'complete'`;
  const row = await eventually(
    async () => (await archiveClient(stack).sql(query)).rows[0],
    'the session in the store',
    20_000,
  );
  expect([row[0], Number(row[1]), row[2]]).toEqual([['credit_card', 'email_address'], 1, []]);
});

const onFixedRoute = (config: EnvoyConfig): void => {
  const manager = config.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
  const text = JSON.stringify(manager.route_config);
  manager.route_config = JSON.parse(
    text.replace('"cluster_header":"x-sallyport-upstream"', '"cluster":"model_demo_1"'),
  ) as typeof manager.route_config;
};

describe('nothing reaches the model unmasked', () => {
  const cases: readonly (readonly [string, (config: EnvoyConfig) => void, number, string])[] = [
    [
      'where Envoy takes no override',
      proc((settings) => {
        settings['allow_mode_override'] = false;
      }),
      503,
      'model_unavailable',
    ],
    [
      'where it allows another override only',
      proc((settings) => {
        settings['allowed_override_modes'] = [{ request_header_mode: 'SEND', request_body_mode: 'BUFFERED' }];
      }),
      503,
      'model_unavailable',
    ],
    [
      'where it takes no override, and a client names the cluster',
      proc((settings) => {
        settings['allow_mode_override'] = false;
      }),
      503,
      'model_unavailable',
    ],
    ['where the route is fixed', onFixedRoute, 503, 'plan_invalid'],
  ];
  test.each(cases)('%s', async (name, envoy, status, code) => {
    const s = await startStack({ policies: { 'test.yaml': POLICY }, envoy });
    try {
      const response = await fetch(`${s.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await s.token('sam')}`,
          'content-type': 'application/json',
          ...(name.includes('client') && { 'x-sallyport-upstream': 'model_demo_1' }),
        },
        body: JSON.stringify(saying('a@b.co')),
      });
      const text = await response.text();
      expect([name, s.model.arrived.map(({ body }) => body.toString())]).toEqual([name, []]);
      expect([response.status, codeOf({ text })], text).toEqual([status, code]);
    } finally {
      await s.close();
    }
  });
});

test('an Envoy that takes no override, has a fixed route and does not say so gets no answer through', async () => {
  const s = await startStack({
    policies: { 'test.yaml': POLICY },
    envoy: (config) => {
      onFixedRoute(config);
      proc((settings) => {
        settings['request_attributes'] = ['request.id'];
        settings['allow_mode_override'] = false;
      })(config);
    },
  });
  try {
    const got = await ask(s, saying('a@b.co'));
    expect([got.status, codeOf(got)]).toEqual([503, 'plan_invalid']);
    const end = await endOf(s, String(got.headers['x-sallyport-session']));
    expect(end).toMatchObject({ how: 'gate_failed', code: 'plan_invalid', detail: 'plan unmasked', maskedRequest: {} });
    expect(s.log.join('\n')).toContain('unmasked');
  } finally {
    await s.close();
  }
});

test('an Envoy that does not say where a masked request went gets no answer through', async () => {
  const s = await startStack({
    policies: { 'test.yaml': POLICY },
    envoy: proc((settings) => {
      settings['response_attributes'] = ['response.code_details'];
    }),
  });
  try {
    const got = await ask(s, saying('a@b.co'));
    expect([got.status, codeOf(got)]).toEqual([503, 'plan_invalid']);
    expect(s.model.arrived.map(({ body }) => body.toString())).toEqual([expect.stringContaining('<EMAIL_ADDRESS>')]);
    const end = await endOf(s, String(got.headers['x-sallyport-session']));
    expect(end).toMatchObject({
      how: 'gate_failed',
      detail: 'plan other_cluster',
      maskedRequest: { email_address: 1 },
    });
  } finally {
    await s.close();
  }
});

describe('what cannot be masked is refused', () => {
  let s: Stack;
  beforeAll(async () => {
    s = await startStack({
      policies: { 'test.yaml': POLICY },
      models: [
        { name: 'audio', formats: ['opaque'], match: { paths: ['/v1/audio'] } },
        {
          name: 'all',
          formats: ['anthropic-messages', 'gemini', 'ollama-chat', 'bedrock-converse', 'openai-responses'],
          match: { names: ['anthropic.demo-v1:0'] },
        },
        { name: 'tools', formats: ['mcp'], match: { paths: ['/mcp'] } },
      ],
      envoy: (config) => {
        const manager = config.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
        const routes = (manager.route_config as { virtual_hosts: { routes: unknown[] }[] }).virtual_hosts[0]!.routes;
        const [route] = routes as [{ match: unknown }];
        routes.unshift({
          ...route,
          match: { prefix: '/', headers: [{ name: 'x-mesh', present_match: true }] },
          typed_per_filter_config: {
            'envoy.filters.http.ext_authz': {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
              check_settings: { context_extensions: { 'sallyport.model': 'demo' } },
            },
          },
        });
      },
    });
  });
  afterAll(() => s.close());

  const post = async (path: string, body: string, headers: Record<string, string> = {}) => {
    const before = s.model.arrived.length;
    const response = await fetch(`${s.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await s.token('sam')}`, 'content-type': 'application/json', ...headers },
      body,
    });
    return { status: response.status, text: await response.text(), reached: s.model.arrived.slice(before) };
  };

  test.each([
    ['opaque', '/v1/audio', { 'content-type': 'text/plain' }, 'opaque'],
    ['on a route of a mesh', '/v1/chat/completions', { 'x-mesh': '1' }, 'sallyport.model'],
  ])('%s', async (_name, path, headers, words) => {
    const body = path === '/v1/audio' ? 'write to a@b.co' : JSON.stringify(saying('a@b.co'));
    const got = await post(path, body, headers);
    expect([got.status, codeOf(got), got.reached]).toEqual([403, 'request_not_maskable', []]);
    expect(got.text).toContain(words === 'opaque' ? 'what no format reads cannot be masked' : words);
    const events = (await s.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    expect(events.findLast(({ type }) => type === 'end')).toMatchObject({
      how: 'denied',
      code: 'request_not_maskable',
      status: 403,
    });
  });

  const mail = 'write to a@b.co now';
  test.each([
    ['/v1/messages', { model: 'all', max_tokens: 9, system: mail, messages: [{ role: 'user', content: mail }] }],
    ['/v1beta/models/all:generateContent', { contents: [{ role: 'user', parts: [{ text: mail }] }] }],
    ['/api/chat', { model: 'all', stream: false, messages: [{ role: 'user', content: mail }] }],
    ['/model/anthropic.demo-v1:0/converse', { messages: [{ role: 'user', content: [{ text: mail }] }] }],
    ['/v1/responses', { model: 'all', input: mail, instructions: mail }],
    [
      '/mcp',
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'lookup', arguments: { who: mail, n: [mail] } } },
    ],
  ])('but every format with a JSON body is masked: %s', async (path, body) => {
    const got = await post(path, JSON.stringify(body), { accept: 'application/json, text/event-stream' });
    expect(got.reached, got.text).toHaveLength(1);
    expect(JSON.parse(got.reached[0]!.body.toString())).toEqual(
      JSON.parse(JSON.stringify(body).replaceAll('a@b.co', '<EMAIL_ADDRESS>')),
    );
  });
});

const oldest = process.env['ENVOY_BIN_OLDEST'];
describe.skipIf(oldest === undefined || oldest === '')('the oldest supported Envoy', () => {
  test.each([true, false])('with overrides allowed: %s', async (isAllowed) => {
    const s = await startStack({
      policies: { 'test.yaml': POLICY },
      binary: oldest!,
      envoy: proc((settings) => {
        settings['allow_mode_override'] = isAllowed;
      }),
    });
    try {
      const got = await ask(s, saying('a@b.co'));
      expect(got.status).toBe(isAllowed ? 200 : 503);
      const seen = s.model.arrived.map(({ body }) => (JSON.parse(body.toString()) as typeof chat).messages[0]!.content);
      expect(seen).toEqual(isAllowed ? ['<EMAIL_ADDRESS>'] : []);
    } finally {
      await s.close();
    }
  });
});
