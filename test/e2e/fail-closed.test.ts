import { createSecretKey } from 'node:crypto';
import type http from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createAuthz } from '../../src/envoy/authz.ts';
import { encodeForward } from '../../src/envoy/encode.ts';
import { startGrpcServer } from '../../src/envoy/server.ts';
import { refusal } from '../../src/exchange/refusal.ts';
import { realDisk } from '../../src/record/disk.ts';
import { ask, codeOf, streamedChat as streamed } from './support/ask.ts';
import { type EnvoyFilter, eventually, type Stack, type StackOptions, startStack } from './support/stack.ts';
import { completion, DONE, delta, startHttp2Upstream } from './support/upstream.ts';

let stack: Stack | undefined;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await stack?.close();
  stack = undefined;
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const start = async (options: StackOptions = {}): Promise<Stack> => {
  stack = await startStack(options);
  return stack;
};

const SECRET = 'maria.lindqvist@example.org';

const filterNamed = (filters: EnvoyFilter[], name: string): EnvoyFilter =>
  filters.find((filter) => filter.name.endsWith(name))!;

describe('the gateway is away', () => {
  test('before the request: 503 in the shape of the SDK, nothing at the model', async () => {
    const s = await start();
    await s.gateway.close();
    const got = await ask(s);
    expect(got.status).toBe(503);
    expect(codeOf(got)).toBe('gate_failed');
    expect(s.model.arrived).toHaveLength(0);
  });
});

describe('the journal', () => {
  const broken = () => {
    const fault = { on: false };
    const disk = {
      ...realDisk,
      sync: async (fd: number) => {
        if (fault.on) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
        await realDisk.sync(fd);
      },
    };
    return { fault, disk };
  };

  test('cannot be written: no request passes, and it stays so', async () => {
    const { fault, disk } = broken();
    const s = await start({ extras: { disk } });
    expect((await ask(s)).status).toBe(200);
    fault.on = true;
    const refused = await ask(s);
    expect([refused.status, codeOf(refused)]).toEqual([503, 'record_unavailable']);
    expect(refused.headers['x-should-retry']).toBe('true');
    fault.on = false; // what a failed fdatasync left on disk is unknown: it is never tried again
    expect((await ask(s)).status).toBe(503);
    expect(s.model.arrived).toHaveLength(1);
  });

  test('fails while a stream runs: the terminal event does not leave', async () => {
    const { fault, disk } = broken();
    const s = await start({ extras: { disk } });
    let finish: () => void = () => {};
    s.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(delta('hello '));
      finish = () => response.end(delta('', 'stop') + DONE);
      setTimeout(() => {
        fault.on = true;
        finish();
      }, 300);
    };
    const got = await ask(s, streamed);
    expect(got.complete).toBe(false);
    expect(got.text).not.toContain('[DONE]');
  });
});

describe('a response that cannot be read', () => {
  const bad: readonly (readonly [string, http.OutgoingHttpHeaders, number, string, string])[] = [
    ['of an unknown type', { 'content-type': 'application/octet-stream' }, 200, SECRET, 'response_type_refused'],
    ['without a type', {}, 200, SECRET, 'response_type_refused'],
    [
      'in another charset',
      { 'content-type': 'application/json; charset=utf-16' },
      200,
      completion(SECRET),
      'response_type_refused',
    ],
    [
      'that is compressed',
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      200,
      SECRET,
      'response_encoding_refused',
    ],
    [
      'that is a part (206)',
      { 'content-type': 'application/json', 'content-range': 'bytes 0-9/99' },
      206,
      SECRET,
      'response_type_refused',
    ],
  ];
  test.each(bad)('%s is refused with 502 and not passed on', async (_name, headers, status, body, code) => {
    const s = await start();
    s.model.answer = (_request, response) => response.writeHead(status, headers).end(body);
    const got = await ask(s);
    expect([got.status, codeOf(got)]).toEqual([502, code]);
    expect(got.text).not.toContain('maria');
    const [end] = (await s.journal()).filter((line) => line.kind === 'event' && line.event.type === 'end');
    expect(end).toMatchObject({ event: { how: 'response_refused', code } });
  });

  test.each([
    ['JSON that is cut off', 'application/json', completion(SECRET).slice(0, -20)],
    ['JSON with a name used twice', 'application/json', `{"a":"${SECRET}","a":1}`],
    [
      'an event that is not UTF-8',
      'text/event-stream',
      Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0xfe, 0x0a, 0x0a]),
    ],
  ])(
    '%s: 502 while the client has seen nothing, the error as the answer after that; nothing of it is delivered',
    async (_name, type, body) => {
      const s = await start();
      s.model.answer = (_request, response) => response.writeHead(200, { 'content-type': type }).end(body);
      const whole = await ask(s);
      expect([whole.status, codeOf(whole)]).toEqual([502, 'response_unreadable']);
      expect(whole.text).not.toContain('maria');
      s.model.answer = (_request, response) => {
        response.writeHead(200, { 'content-type': type }).flushHeaders();
        setTimeout(() => response.end(body), 150);
      };
      const late = await ask(s);
      expect([late.status, late.complete]).toEqual([200, true]);
      expect(late.text).toContain('"code":"response_unreadable"');
      expect(late.text).not.toContain('maria');
    },
  );

  test('headers of the model that could carry text do not leave', async () => {
    const s = await start();
    s.model.answer = (_request, response) =>
      response
        .writeHead(200, {
          'content-type': 'application/json',
          'x-debug': SECRET,
          'set-cookie': `who=${SECRET}`,
          server: SECRET,
        })
        .end(completion('ok'));
    const got = await ask(s);
    expect(got.status).toBe(200);
    expect(JSON.stringify(got.headers)).not.toContain('maria');
  });
});

test('HTTP/2 trailers of the model do not pass, and text that is still held ends the stream', async () => {
  const calm = await startHttp2Upstream(delta('hello', 'stop') + DONE);
  cleanups.push(() => calm.close());
  const s = await start({ modelPort: calm.port, modelsSpeakHttp2: true });
  const got = await ask(s, streamed);
  expect(got.text).toContain('[DONE]');
  expect(got.text).not.toContain('jane.doe');
  await s.close();
  stack = undefined;
  // The text ends in what could become an address: it is held back, and no chunk comes any more that could carry it.
  const held = await startHttp2Upstream(delta(`write to ${SECRET}`));
  cleanups.push(() => held.close());
  const t = await start({ modelPort: held.port, modelsSpeakHttp2: true });
  const broken = await ask(t, streamed);
  expect(broken.complete && broken.status === 200).toBe(false);
  expect(broken.text).not.toContain('maria');
});

test('a route that skips the request headers makes a real answer look like a local reply: refused', async () => {
  const s = await start({
    envoy: (config) => {
      const { typed_config } = config.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!;
      const routes = typed_config.route_config as unknown as { virtual_hosts: [{ routes: [Record<string, unknown>] }] };
      routes.virtual_hosts[0].routes[0]['typed_per_filter_config'] = {
        'envoy.filters.http.ext_proc': {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute',
          overrides: {
            processing_mode: {
              request_header_mode: 'SKIP',
              response_header_mode: 'SEND',
              response_body_mode: 'STREAMED',
              response_trailer_mode: 'SEND',
            },
          },
        },
      };
    },
  });
  s.model.answer = (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(completion(SECRET));
  const got = await ask(s);
  expect([got.status, codeOf(got)]).toEqual([503, 'plan_invalid']);
  expect(got.text).not.toContain('maria');
});

test('an answer that cannot be read says why on the record', async () => {
  const s = await start();
  s.model.answer = (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(`{"a":"${SECRET}","a":1}`);
  const got = await ask(s);
  expect(codeOf(got)).toBe('response_unreadable');
  const ends = await eventually(async () => {
    const lines = (await s.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    const found = lines.filter(({ type }) => type === 'end');
    return found.length > 0 ? found : undefined;
  }, 'the end on the record');
  expect(ends).toEqual([expect.objectContaining({ detail: expect.stringContaining('used twice') })]);
  expect(JSON.stringify(ends)).not.toContain('maria');
});

test('a request that no stage can read is refused, told so, and on the record', async () => {
  const s = await start();
  const got = await ask(s, {
    model: 'demo',
    messages: [{ role: 'user', content: 'hi' }],
    metadata: { ['k'.repeat(1_100)]: 'v' },
  });
  expect([got.status, got.headers['x-should-retry']]).toEqual([400, 'false']);
  expect(s.model.arrived).toHaveLength(0);
  const refusals = await eventually(async () => {
    const lines = (await s.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    return lines.some(({ type }) => type === 'refused') ? lines : undefined;
  }, 'the refusal on the record');
  expect(refusals).toContainEqual(expect.objectContaining({ type: 'refused', status: 400 }));
});

describe('a handler that throws', () => {
  /** The edge's real server, with stages that fail. */
  async function startFailing(socket: string, throwsIn: 'check' | 'process') {
    const refuse = (about: Parameters<typeof refusal>[0]) => refusal(about);
    const observe = { answered: () => {}, misconfigured: () => {}, broken: () => {} };
    const checkpoint = () => {
      throw new Error('a bug in the checkpoint');
    };
    const authz = createAuthz({
      checkpoint: async () => checkpoint(),
      planKeys: { keys: [createSecretKey(Buffer.alloc(32))] },
      refuse,
      takesPeers: false,
      newSession: () => 's',
      observe,
      abandoned: () => {},
      record: () => {},
    });
    return startGrpcServer(
      { listen: `unix:${socket}`, tls: undefined, maxRequestBytes: 4 * 1024 * 1024 },
      {
        check: (check, call) =>
          throwsIn === 'check'
            ? authz(check, call)
            : call.answer(
                encodeForward({
                  setHeaders: [['x-sallyport-upstream', 'model_demo_1']],
                  removeHeaders: [],
                  responseHeaders: [],
                  plan: 'none',
                }),
              ),
        process: () => ({
          message() {
            throw new Error('a bug');
          },
          end() {},
          closed() {},
        }),
        serving: () => true,
      },
    );
  }
  test.each(['check', 'process'] as const)('in %s: 503, nothing at the model or back from it', async (where) => {
    let socket = '';
    const s = await start({
      envoy: (config) => {
        const text = JSON.stringify(config.static_resources.clusters);
        socket = join(text.match(/"path":"([^"]*)gate\.sock"/)![1]!, 'failing.sock');
        config.static_resources.clusters = JSON.parse(
          text.replace('gate.sock', 'failing.sock'),
        ) as typeof config.static_resources.clusters;
      },
    });
    const server = await startFailing(socket, where);
    cleanups.push(() => server.close());
    const got = await eventually(async () => {
      const one = await ask(s);
      return s.log.length >= 0 && one.status === 503 ? one : undefined;
    }, 'a refusal');
    expect(codeOf(got)).toBe('gate_failed');
    expect(s.model.arrived).toHaveLength(0);
  });
});

test.each([
  [
    'with_request_body.pack_as_bytes',
    (authz: EnvoyFilter) => Object.assign(authz.typed_config['with_request_body'] as object, { pack_as_bytes: false }),
  ],
  ['with_request_body', (authz: EnvoyFilter) => delete authz.typed_config['with_request_body']],
])('an Envoy without %s is told so', async (field, spoil) => {
  const s = await start({
    envoy: (config) => {
      spoil(
        filterNamed(
          config.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config.http_filters,
          'ext_authz',
        ),
      );
    },
  });
  const got = await ask(s);
  expect([got.status, codeOf(got)]).toEqual([503, 'envoy_misconfigured']);
  expect(got.text).toContain(field);
  const event = await eventually(
    async () => (await s.journal()).find((line) => line.kind === 'event' && line.event.type === 'refused'),
    'the refusal in the journal',
  );
  expect(event).toMatchObject({ event: { code: 'envoy_misconfigured', status: 503, detail: field } });
  expect(s.model.arrived).toHaveLength(0);
});
