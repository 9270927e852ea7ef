import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliError, exitCodes } from '../../../src/commands/cli.ts';
import { localKey } from '../../../src/commands/proxy/key.ts';
import { type RunningProxy, startProxy } from '../../../src/commands/proxy/server.ts';

const key = `sk-sallyport-local-${'k'.repeat(43)}`;
let models: Server;
let handle: (request: IncomingMessage, response: ServerResponse) => void;
let proxy: RunningProxy;
let tokens: (refused?: string) => Promise<string>;
const said: string[] = [];

const portOf = (server: Server) => (server.address() as AddressInfo).port;

beforeEach(async () => {
  handle = (_, response) => response.end('{}');
  tokens = async () => 'fresh';
  said.length = 0;
  models = createServer((request, response) => handle(request, response)).listen(0, '127.0.0.1');
  await once(models, 'listening');
  proxy = await startProxy({
    port: 0,
    key,
    modelsUrl: `http://127.0.0.1:${portOf(models)}/base`,
    token: (refused) => tokens(refused),
    say: (line) => said.push(line),
  });
});
afterEach(async () => {
  await proxy.close();
  models.closeAllConnections();
  models.close();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function ask(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  options: { method?: string; body?: string | Buffer } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(proxy.url);
  const { method = options.body === undefined ? 'GET' : 'POST', body } = options;
  const sent = request({ hostname, port, path, method, headers, agent: false }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const bearer = { authorization: `Bearer ${key}` };

describe('the local proxy', () => {
  it.each([
    ['authorization', `Bearer ${key}`, 'Bearer fresh'],
    ['x-api-key', key, 'fresh'],
    ['x-goog-api-key', key, 'fresh'],
  ])('sends a fresh token in %s, where the key was, and nowhere the key', async (header, value, sent) => {
    let seen: IncomingMessage | undefined;
    handle = (incoming, response) => {
      seen = incoming;
      response.end('hello');
    };
    const { status, body } = await ask('/v1/chat?stream=1&x=%2F', { [header]: value, 'x-custom': 'kept' });
    expect([status, body]).toEqual([200, 'hello']);
    expect(seen?.headers).toMatchObject({ [header]: sent, 'x-custom': 'kept', host: `127.0.0.1:${portOf(models)}` });
    expect(seen?.url).toBe('/base/v1/chat?stream=1&x=%2F');
    expect(JSON.stringify(seen?.rawHeaders)).not.toContain(key);
  });

  it('replaces a key that came in two headers by one token', async () => {
    let seen: IncomingMessage['headers'] = {};
    handle = (incoming, response) => {
      seen = incoming.headers;
      response.end();
    };
    expect((await ask('/', { ...bearer, 'x-api-key': key })).status).toBe(200);
    expect([seen['authorization'], seen['x-api-key']]).toEqual(['Bearer fresh', undefined]);
  });

  it('sends on what is for both ends, and nothing that is for one connection', async () => {
    let seen: IncomingMessage['headers'] = {};
    handle = (incoming, response) => {
      seen = incoming.headers;
      response.writeHead(
        418,
        [
          ['connection', 'x-own'],
          ['x-own', '1'],
          ['keep-alive', 'timeout=9'],
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['x-sallyport-session', 'id'],
        ].flat(),
      );
      response.end('teapot');
    };
    const { status, headers, body } = await ask(
      '/',
      {
        ...bearer,
        connection: 'x-mine',
        'x-mine': '1',
        te: 'trailers',
        'proxy-authorization': 'Basic x',
        accept: 'a/b',
      },
      { body: 'sent' },
    );
    expect([status, body]).toEqual([418, 'teapot']);
    expect(headers).toMatchObject({ 'set-cookie': ['a=1', 'b=2'], 'x-sallyport-session': 'id' });
    expect(headers).not.toHaveProperty('x-own');
    expect(seen).toMatchObject({ accept: 'a/b', 'content-length': '4' });
    for (const name of ['x-mine', 'te', 'proxy-authorization']) expect(seen).not.toHaveProperty(name);
  });

  it('streams both ways: each piece arrives before the next is sent', async () => {
    handle = (incoming, response) => {
      response.writeHead(200);
      response.flushHeaders();
      incoming.on('data', (chunk: Buffer) => response.write(`<${chunk}>`));
      incoming.on('end', () => response.end());
    };
    const { port } = new URL(proxy.url);
    const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/', headers: bearer, agent: false });
    sent.write('0');
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(String((await once(response, 'data'))[0])).toBe('<0>');
    for (const piece of ['1', '2', '3']) {
      sent.write(piece);
      expect(String((await once(response, 'data'))[0])).toBe(`<${piece}>`);
    }
    sent.end();
    await once(response, 'end');
  });

  it('ends the request at the models when the tool goes away', async () => {
    const gone = Promise.withResolvers<void>();
    handle = (_, response) => {
      response.write('x');
      response.once('close', () => gone.resolve());
    };
    const { port } = new URL(proxy.url);
    const sent = request({ port, host: '127.0.0.1', path: '/', headers: bearer, agent: false }).end();
    sent.on('error', () => {});
    await once(sent, 'response');
    sent.destroy();
    await gone.promise;
  });

  it('cuts an answer that breaks off, so that it does not look whole', async () => {
    handle = (_, response) => {
      response.write('half');
      setImmediate(() => response.destroy());
    };
    await expect(ask('/', bearer)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('the local proxy refuses', () => {
  const own = () => new URL(proxy.url).host;
  it.each<[string, () => Record<string, string>, string, number, string]>([
    ['no key', () => ({}), '/', 401, 'key_missing'],
    ['a wrong key', () => ({ authorization: `Bearer ${key}x` }), '/', 401, 'key_wrong'],
    ['the key without Bearer', () => ({ authorization: `Basic ${key}` }), '/', 401, 'key_wrong'],
    ['one wrong key of two', () => ({ ...bearer, 'x-api-key': 'other' }), '/', 401, 'key_wrong'],
    ['a key in the address', () => bearer, `/v1?key=${key}`, 401, 'credential_in_query'],
    ['another host name', () => ({ ...bearer, host: 'rebound.example' }), '/', 421, 'host_wrong'],
    ['another port', () => ({ ...bearer, host: '127.0.0.1:1' }), '/', 421, 'host_wrong'],
    ['a page of another site', () => ({ ...bearer, origin: 'https://evil.example' }), '/', 403, 'browser_refused'],
    ['a page of this machine', () => ({ ...bearer, origin: `http://${own()}` }), '/', 403, 'browser_refused'],
    ['a page that hides its origin', () => ({ ...bearer, origin: 'null' }), '/', 403, 'browser_refused'],
    [
      'what a browser loads for a page',
      () => ({ ...bearer, 'sec-fetch-site': 'cross-site' }),
      '/',
      403,
      'browser_refused',
    ],
    ['an upgrade', () => ({ ...bearer, connection: 'upgrade', upgrade: 'websocket' }), '/', 403, 'upgrade_refused'],
    ['a whole URL', () => bearer, 'http://evil.example/', 400, 'path_wrong'],
    ['a path that names a host', () => bearer, '//evil.example/', 400, 'path_wrong'],
  ])('%s', async (_, headers, path, status, code) => {
    let isReached = false;
    handle = (_request, response) => {
      isReached = true;
      response.end();
    };
    const answer = await ask(path, headers());
    expect([answer.status, JSON.parse(answer.body).error.code, isReached]).toEqual([status, code, false]);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('CONNECT', async () => {
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
    socket.write(`CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n`);
    expect(await text(socket)).not.toContain('200');
  });
});

describe('a token that was refused as expired', () => {
  const expired = JSON.stringify({ error: { code: 'token_expired', message: 'The token has expired.' } });
  const seen: string[] = [];
  /** Refuses `old`, and takes the body of whatever it lets in. */
  const gate = (incoming: IncomingMessage, response: ServerResponse) => {
    void text(incoming).then((body) => {
      seen.push(`${incoming.headers.authorization} ${body.length}`);
      const isOld = incoming.headers.authorization === 'Bearer old';
      response.writeHead(isOld ? 401 : 200, { 'content-type': 'application/json' }).end(isOld ? expired : body);
    });
  };
  beforeEach(() => {
    seen.length = 0;
    handle = gate;
    tokens = async (refused) => (refused === undefined ? 'old' : `new-after-${refused}`);
  });

  it('is renewed, and the same request sent once more', async () => {
    const { status, body } = await ask('/', bearer, { body: 'the body' });
    expect([status, body]).toEqual([200, 'the body']);
    expect(seen).toEqual(['Bearer old 8', 'Bearer new-after-old 8']);
  });

  it('is renewed for a request without a body', async () => {
    expect((await ask('/', bearer)).status).toBe(200);
  });

  it('is renewed once only: the second refusal is the answer', async () => {
    tokens = async () => 'old';
    expect(await ask('/', bearer, { body: 'x' })).toMatchObject({ status: 401, body: expired });
    expect(seen).toHaveLength(2);
  });

  it('is the answer where the body is too long to be kept', async () => {
    const body = Buffer.alloc(1024 * 1024 + 1, 'x');
    expect(await ask('/', bearer, { body })).toMatchObject({ status: 401, body: expired });
    expect(seen).toHaveLength(1);
  });

  it('is not renewed where it was refused for another reason', async () => {
    handle = (_, response) => response.writeHead(401).end('{"error":{"code":"token_revoked"}}');
    const asked: unknown[] = [];
    tokens = async (refused) => {
      asked.push(refused);
      return 'old';
    };
    expect((await ask('/', bearer)).body).toContain('token_revoked');
    expect(asked).toEqual([undefined]);
  });

  it('passes a long answer of that status on, whole', async () => {
    const long = 'y'.repeat(300_000);
    handle = (_, response) => response.writeHead(401).end(long);
    expect(await ask('/', bearer)).toMatchObject({ status: 401, body: long });
  });
});

describe('what the tool is told', () => {
  it('is 502 in the shape of the OpenAI SDK when the gateway is down', async () => {
    models.close();
    models.closeAllConnections();
    const { status, headers, body } = await ask('/v1/chat/completions', bearer, { body: '{}' });
    expect([status, headers['x-should-retry']]).toEqual([502, 'true']);
    expect(JSON.parse(body)).toEqual({
      error: {
        message: expect.stringMatching(/^sallyport proxy: The gateway cannot be reached at .*ECONNREFUSED/),
        type: 'server_error',
        param: null,
        code: 'gateway_unreachable',
      },
    });
    expect(said).toEqual([expect.stringContaining('cannot be reached')]);
  });

  it('is 401 with what to do when the sign-in has ended', async () => {
    tokens = async () => {
      throw new CliError(exitCodes.failed, 'Your sign-in has ended.', 'Run `sallyport login`.');
    };
    const { status, headers, body } = await ask('/', bearer);
    expect([status, headers['x-should-retry']]).toEqual([401, 'false']);
    expect(JSON.parse(body).error).toMatchObject({
      code: 'signed_out',
      message: expect.stringContaining('sallyport login'),
    });
    expect(said.join('\n')).toContain('sallyport login');
  });
});

describe('stopping', () => {
  it('lets what is under way finish, and takes nothing new', async () => {
    let answer: ServerResponse | undefined;
    handle = (_, response) => {
      answer = response;
      response.write('begun ');
    };
    const { port } = new URL(proxy.url);
    const sent = request({ port, host: '127.0.0.1', path: '/', headers: bearer }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const drained = proxy.drain();
    await expect(ask('/', bearer)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    answer?.end('and done');
    expect(await text(response)).toBe('begun and done');
    await drained;
  });
});

describe('the local key', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-key-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is made once, for its owner alone', () => {
    const path = join(folder, 'new', 'proxy-key');
    const made = localKey(path);
    expect(made).toMatch(/^sk-sallyport-local-[\w-]{43}$/);
    expect(localKey(path)).toBe(made);
    expect(readFileSync(path, 'utf8')).toBe(`${made}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is not used while others may read it', () => {
    const path = join(folder, 'open');
    writeFileSync(path, `${key}\n`, { mode: 0o600 });
    expect(localKey(path)).toBe(key);
    chmodSync(path, 0o640);
    expect(() => localKey(path)).toThrow(/may be read or written by others/);
  });

  it.each(['', 'sk-mine', `${key}\n${key}`])('is not taken from a file that says %j', (content) => {
    const path = join(folder, 'other');
    writeFileSync(path, content, { mode: 0o600 });
    expect(() => localKey(path)).toThrow(/is not a key that/);
  });

  it('says which port is taken', async () => {
    const { port } = new URL(proxy.url);
    const again = startProxy({
      port: Number(port),
      key,
      modelsUrl: 'http://127.0.0.1:9',
      token: tokens,
      say: () => {},
    });
    await expect(again).rejects.toThrow(`Port ${port} cannot be used (EADDRINUSE)`);
  });
});
