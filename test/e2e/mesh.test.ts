/** mTLS peers: a workload's SPIFFE certificate, as Envoy verified it, is who it is; nothing that it writes is. */
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gateAddress } from '../../src/gateway/front.ts';
import { EVERY_REFUSAL } from '../attacks/support/attempts.ts';
import { chat, codeOf } from './support/ask.ts';
import { type Certificate, createAuthority, type Names } from './support/certificates.ts';
import { type EnvoyConfig, eventually, type Stack, startEnvoy, startStack } from './support/stack.ts';
import { answerJson } from './support/upstream.ts';

const NIGHTLY = 'spiffe://mesh.test/ns/batch/sa/nightly';
const mesh = createAuthority('Mesh CA');
const edge = mesh.issue('edge', { dns: ['edge.test'] });
const as = (names: Names, subject = 'workload'): Certificate => mesh.issue(subject, names);
const nightly = as({ uri: [NIGHTLY], dns: ['nightly.batch.svc'] });

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: mesh}
spec:
  rules:
    - name: workloads-of-batch
      when: 'caller.kind == "peer" && caller.proof == "peer" && caller.provider == "mesh" && caller.subject.startsWith("${NIGHTLY}")'
      then: allow
    - {name: contractors, when: 'caller.proof == "token" && "contractors" in caller.groups', then: allow}
`;

/** A TLS listener that takes certificates of the mesh's CA, and lets x-forwarded-client-cert through to the gate as it came. */
function overTls({ static_resources: { listeners } }: EnvoyConfig): void {
  const [chain] = listeners[0]!.filter_chains;
  chain!.transport_socket = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      common_tls_context: {
        tls_certificates: [
          { certificate_chain: { inline_string: edge.cert }, private_key: { inline_string: edge.key } },
        ],
        validation_context: { trusted_ca: { inline_string: mesh.cert } },
      },
    },
  };
  chain!.filters[0]!.typed_config['forward_client_cert_details'] = 'ALWAYS_FORWARD_ONLY';
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    identity: {
      peers: { allow: ['spiffe://mesh.test/ns/batch/sa/*'] },
      teams: [{ name: 'batch', subjects: [`mesh/${NIGHTLY}`] }],
    },
    policies: { 'mesh.yaml': POLICY },
    config: EVERY_REFUSAL,
    envoy: overTls,
  });
  stack.model.answer = answerJson('ok');
});
afterAll(() => stack.close());

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly challenge: string | undefined;
  readonly session: string;
}

function call(
  certificate: Certificate | undefined,
  headers: Readonly<Record<string, string | string[]>> = {},
  port = stack.port,
): Promise<Answer> {
  const body = JSON.stringify(chat);
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        ...certificate,
        host: '127.0.0.1',
        port,
        ca: mesh.cert,
        servername: 'edge.test',
        agent: false,
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { 'content-type': 'application/json', 'content-length': body.length, ...headers },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text,
            challenge: response.headers['www-authenticate'],
            session: String(response.headers['x-sallyport-session']),
          }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const bearer = async (who: 'jane' | 'sam') => ({ authorization: `Bearer ${await stack.token(who)}` });
const eventOf = (session: string, type: string) =>
  eventually(async () => {
    const lines = await stack.journal();
    return lines
      .flatMap((line) => (line.kind === 'event' ? [line.event] : []))
      .find((event) => event.session === session && event.type === type);
  }, `the ${type} event of ${session}`);

/** 401 as for anybody without a credential, nothing at the model, and on the record. */
async function refused(answer: Promise<Answer>, code = 'token_missing'): Promise<void> {
  const before = stack.model.arrived.length;
  const { status, session, challenge, ...rest } = await answer;
  expect([status, codeOf(rest)]).toEqual([401, code]);
  expect(challenge).toMatch(/^Bearer realm="sallyport"/);
  expect(stack.model.arrived.length).toBe(before);
  expect(await eventOf(session, 'refused')).toMatchObject({ code, status: 401 });
}

describe('a peer of identity.peers.allow', () => {
  test('passes without a token, is a peer for the rules, and is on the record by its SPIFFE id', async () => {
    const before = stack.model.arrived.length;
    const { status, session } = await call(nightly);
    expect(status).toBe(200);
    expect(await eventOf(session, 'request')).toMatchObject({
      caller: { provider: 'mesh', subject: NIGHTLY, kind: 'peer', groups: [], team: 'batch' },
    });
    expect(stack.model.arrived[before]!.headers).toMatchObject({
      'x-sallyport-caller': `mesh/${encodeURIComponent(NIGHTLY)}`,
      'x-sallyport-team': 'batch',
      authorization: 'Bearer model-secret',
    });
  });

  test('is told by a rule that does not name it that no rule allows it', async () => {
    const answer = await call(as({ uri: ['spiffe://mesh.test/ns/batch/sa/other'] }));
    expect([answer.status, codeOf(answer)]).toEqual([403, 'no_rule_allows']);
  });

  test('that sends a token is who the token says', async () => {
    const { status, session } = await call(nightly, await bearer('sam'));
    expect(status).toBe(200);
    expect(await eventOf(session, 'request')).toMatchObject({
      caller: { provider: 'demo', subject: 'sam', kind: 'person' },
    });
  });

  test('that sends a token which is none is refused, not taken for the peer', async () => {
    await refused(call(nightly, { authorization: 'Bearer nonsense' }), 'token_malformed');
    await refused(call(nightly, { 'x-api-key': 'sk-nonsense' }), 'token_malformed');
  });

  test('does not lend its name to the next request of another connection', async () => {
    expect((await call(nightly)).status).toBe(200);
    await refused(call(undefined));
  });
});

describe('nobody else is a peer', () => {
  test.each<[string, Certificate]>([
    ['one that is not on the list', as({ uri: ['spiffe://mesh.test/ns/web/sa/shop'] })],
    ['one of another trust domain', as({ uri: ['spiffe://mesh.test.example/ns/batch/sa/nightly'] })],
    ['one with a path that is longer', as({ uri: [`${NIGHTLY}/x`] })],
    ['a DNS name that looks like a SPIFFE id', as({ dns: [NIGHTLY] })],
    ['a DNS name that holds one', as({ dns: [`a.test, URI:${NIGHTLY}`] })],
    ['a common name that looks like one', as({ dns: ['nightly.test'] }, NIGHTLY)],
    ['a common name, and no other', as({}, NIGHTLY)],
    ['several URIs, the allowed one first', as({ uri: [NIGHTLY, 'spiffe://mesh.test/ns/web/sa/shop'] })],
    ['several URIs, the allowed one last', as({ uri: ['spiffe://mesh.test/ns/web/sa/shop', NIGHTLY] })],
    ['the SPIFFE id in capitals', as({ uri: [NIGHTLY.toUpperCase()] })],
    ['a URI with a query behind it', as({ uri: [`${NIGHTLY}?x`] })],
    ['a URI with an escaped slash', as({ uri: ['spiffe://mesh.test/ns/batch/sa%2fnightly'] })],
    ['another kind of URI', as({ uri: ['https://mesh.test/ns/batch/sa/nightly'] })],
  ])('%s', async (_name, certificate) => {
    await refused(call(certificate));
  });

  test('a client without a certificate', async () => {
    await refused(call(undefined));
  });

  test('a certificate of another CA gets no connection', async () => {
    const stranger = createAuthority('Another CA').issue('workload', { uri: [NIGHTLY] });
    await expect(call(stranger)).rejects.toThrow(/alert|ECONNRESET|EPIPE/);
  });

  const CLAIMS: readonly (readonly [string, Readonly<Record<string, string | string[]>>])[] = [
    ['x-forwarded-client-cert', { 'x-forwarded-client-cert': `By=spiffe://mesh.test/edge;URI=${NIGHTLY}` }],
    [
      'x-forwarded-client-cert with a certificate',
      { 'x-forwarded-client-cert': `Cert="${encodeURIComponent(nightly.cert)}";URI=${NIGHTLY}` },
    ],
    ['x-spiffe-id', { 'x-spiffe-id': NIGHTLY }],
    ['x-sallyport-caller', { 'x-sallyport-caller': `mesh/${encodeURIComponent(NIGHTLY)}` }],
    ['x-envoy-downstream-service-cluster', { 'x-envoy-downstream-service-cluster': NIGHTLY }],
    ['x-forwarded-user', { 'x-forwarded-user': NIGHTLY, 'x-remote-user': NIGHTLY, 'x-auth-request-user': NIGHTLY }],
    [
      'ssl-client headers of other proxies',
      { 'ssl-client-cert': encodeURIComponent(nightly.cert), 'x-ssl-client-s-dn': NIGHTLY, 'client-cert': ':abc=:' },
    ],
  ];
  test.each(CLAIMS)('who claims to be one in %s', async (_name, headers) => {
    await refused(call(undefined, headers));
    await refused(call(as({ uri: ['spiffe://mesh.test/ns/web/sa/shop'] }), headers));
  });

  test.each(CLAIMS)('an allowed peer stays who it is, whatever it claims in %s', async (_name, headers) => {
    const others = JSON.parse(JSON.stringify(headers).replaceAll('nightly', 'other')) as typeof headers;
    const before = stack.model.arrived.length;
    const { status, session } = await call(nightly, others);
    expect(status).toBe(200);
    expect(await eventOf(session, 'request')).toMatchObject({ caller: { subject: NIGHTLY } });
    for (const name of Object.keys(headers).filter((one) => one !== 'x-sallyport-caller'))
      expect(stack.model.arrived[before]!.headers).not.toHaveProperty([name]);
  });
});

/** What Envoy sends decides, so an Envoy that sends less must not open anything. */
describe('an Envoy that does not show the certificate', () => {
  test('has no peers: 401, and the log names the setting, for a DNS name too, which Envoy tells like a URI', async () => {
    const dir = mkdtempSync(join(stack.dir, 'envoy-'));
    const { envoy, port } = await startEnvoy({
      dir,
      gates: [gateAddress(stack.config, stack.gateway.addresses['grpc'])],
      modelPort: stack.model.port,
      verifiedByEnvoy: { peers: false, jwtAuthn: false },
      change: overTls,
      onLine: () => {},
    });
    try {
      for (const certificate of [nightly, as({ dns: [NIGHTLY] })]) {
        const seen = stack.log.length;
        await refused(call(certificate, {}, port));
        expect(stack.log.slice(seen).join('\n')).toContain('include_peer_certificate');
      }
      const seen = stack.log.length;
      await refused(call(undefined, {}, port));
      expect((await call(nightly, await bearer('sam'), port)).status).toBe(200);
      expect(stack.log.slice(seen)).toEqual([]);
    } finally {
      await envoy.stop(0);
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
