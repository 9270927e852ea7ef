/** The gRPC port over TCP: who may call it is decided by mutual TLS and an allow-list of identities. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GateTls } from '../../src/envoy/bootstrap.ts';
import { gateAddress } from '../../src/gateway/front.ts';
import { startGateway } from '../../src/gateway.ts';
import { createLog } from '../../src/observe/log.ts';
import { ask, codeOf, streamedChat } from './support/ask.ts';
import { type Certificate, createAuthority } from './support/certificates.ts';
import { envoyBinary, eventually, type Stack, startEnvoy, startStack } from './support/stack.ts';
import { answerJson, DONE, delta } from './support/upstream.ts';

const SPIFFE = 'spiffe://example.org/ns/edge/sa/envoy';
const SERVER = 'gate.sallyport.internal';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
const ours = createAuthority('Sallyport test CA');
const other = createAuthority('Another CA');

const file = (name: string, text: string): string => {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};
const caFile = file('ca.pem', ours.cert);
const server = ours.issue('gate', { dns: [SERVER] });
const spiffe = ours.issue('envoy', { uri: [SPIFFE] });

function presenting(name: string, { cert, key }: Certificate, ca = caFile): GateTls {
  return {
    caFile: ca,
    certFile: file(`${name}.pem`, cert),
    keyFile: file(`${name}.key`, key),
    serverName: SERVER,
  };
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    gateTls: presenting('envoy', spiffe),
    config: {
      listen: {
        grpc: '127.0.0.1:0',
        public: '127.0.0.1:0',
        internal: '127.0.0.1:0',
        tls: {
          cert: file('gate.pem', server.cert),
          key: file('gate.key', server.key),
          clientCa: caFile,
          allowedClients: [SPIFFE, 'edge-2.example.org'],
        },
      },
    },
  });
});
afterAll(async () => {
  await stack.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Another Envoy in front of the same gateway, for one test. */
async function through<T>(tls: GateTls | undefined, use: (url: string) => Promise<T>): Promise<T> {
  const own = mkdtempSync(join(dir, 'envoy-'));
  const gate = gateAddress(stack.config, stack.gateway.addresses['grpc']);
  const { envoy, port } = await startEnvoy({
    dir: own,
    gates: [{ ...gate, ...(tls === undefined ? {} : { tls }) }],
    modelPort: stack.model.port,
    onLine: () => {},
  });
  try {
    return await use(`http://127.0.0.1:${port}`);
  } finally {
    await envoy.stop(0);
  }
}

const asked = (url: string) => ({ url, token: stack.token });

describe('an identity of the allow-list', () => {
  test('passes: a JSON answer, and a stream that is masked', async () => {
    stack.model.answer = answerJson('write to maria.lindqvist@example.org');
    const answer = await ask(stack);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('write to <EMAIL_ADDRESS>');
    stack.model.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(delta('write to maria.lindq') + delta('vist@example.org') + delta('', 'stop') + DONE);
    };
    const stream = await ask(stack, streamedChat);
    expect([stream.status, stream.complete]).toEqual([200, true]);
    expect(stream.text).toContain('<EMAIL_ADDRESS>');
    expect(stream.text).not.toContain('lindq');
    expect(stream.text).toContain('[DONE]');
  });

  test('may be a DNS name as well', async () => {
    stack.model.answer = answerJson('ok');
    const tls = presenting('edge-2', ours.issue('edge-2', { dns: ['edge-2.example.org'] }));
    const answer = await through(tls, (url) => ask(asked(url)));
    expect(answer.status).toBe(200);
  });
});

describe('anybody else is refused: 503 to the caller, nothing at the model', () => {
  const strangers: readonly (readonly [string, () => GateTls | undefined])[] = [
    [
      'another identity of the same CA',
      () => presenting('stranger', ours.issue('envoy', { uri: [`${SPIFFE}-2`, 'spiffe://example.org/ns/edge'] })),
    ],
    [
      'an allowed identity that is only the common name, or of another kind',
      () => presenting('cn', ours.issue(SPIFFE, { dns: [SPIFFE.slice('spiffe://'.length)] })),
    ],
    [
      'an allowed name hidden inside another one',
      () => presenting('hidden', ours.issue('x', { dns: [`a.example.org, URI:${SPIFFE}, DNS:b.example.org`] })),
    ],
    ['an allowed identity from another CA', () => presenting('other', other.issue('envoy', { uri: [SPIFFE] }))],
    ['plain text', () => undefined],
  ];
  test.each(strangers)('%s', async (_name, tls) => {
    const before = stack.model.arrived.length;
    await through(tls(), async (url) => {
      const answer = await ask(asked(url));
      expect([answer.status, codeOf(answer)]).toEqual([503, 'gate_failed']);
    });
    expect(stack.model.arrived.length).toBe(before);
  });

  test('a client without a certificate does not get as far as a call', async () => {
    const authority = String(stack.gateway.addresses['grpc']);
    const call = (identity: Partial<Certificate>) =>
      new Promise<string>((resolve) => {
        const session = http2.connect(`https://${authority}`, { ca: ours.cert, servername: SERVER, ...identity });
        const failed = (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message);
        session.on('error', failed);
        const stream = session.request({
          ':method': 'POST',
          ':path': '/grpc.health.v1.Health/Check',
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        stream.on('error', failed);
        stream.on('data', (answer: Buffer) => {
          resolve(answer.toString('hex'));
          session.close();
        });
        stream.end(Buffer.alloc(5));
      });
    expect(await call({})).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect(await call({ cert: spiffe.cert, key: spiffe.key })).toBe('00000000020801');
  });
});

test('Envoy does not talk to a gateway whose certificate is of another CA, or for another name', async () => {
  const before = stack.model.arrived.length;
  const otherCa = file('other-ca.pem', other.cert);
  for (const tls of [
    presenting('mistrusting', spiffe, otherCa),
    { ...presenting('elsewhere', spiffe), serverName: 'another.internal' },
  ]) {
    const answer = await through(tls, (url) => ask(asked(url)));
    expect([answer.status, codeOf(answer)]).toEqual([503, 'gate_failed']);
  }
  expect(stack.model.arrived.length).toBe(before);
});

test('the connections that were refused have not cost the allowed one anything', async () => {
  stack.model.answer = answerJson('ok');
  const answer = await eventually(async () => {
    const one = await ask(stack);
    return one.status === 200 ? one : undefined;
  }, 'an answer');
  expect(answer.text).toContain('ok');
});

test('`up`, which has no certificate for its own Envoy, refuses listen.tls instead of starting what cannot answer', async () => {
  const starting = startGateway(stack.config, {
    log: createLog({ level: 'silent', target: { write: () => {} } }),
    envoyBin: envoyBinary(),
    onProgress: () => {},
  });
  await expect(starting).rejects.toMatchObject({
    code: 'gateway_refused',
    message: expect.stringContaining('leave listen.tls out'),
  });
});
