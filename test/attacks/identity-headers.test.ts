/**
 * Headers in which proxies, identity-aware gateways and clouds tell the server behind them who is calling. A model, or
 * whatever stands in front of it, may believe any of them: none that a client wrote may arrive, in whatever spelling.
 */
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { type Attempts, attempts, EVERY_REFUSAL } from './support/attempts.ts';
import { rawRequest } from './support/raw.ts';

const BODY = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}';

/** By who reads them. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  Sallyport: [
    'x-sallyport-caller',
    'x-sallyport-team',
    'x-sallyport-session',
    'x-sallyport-identity',
    'x-sallyport-groups',
  ],
  'the CGI and Apache': [
    'remote-user',
    'x-remote-user',
    'x-remote-user-id',
    'x-remote-group',
    'remote-groups',
    'auth-user',
    'auth-type',
  ],
  'oauth2-proxy': [
    ...['user', 'email', 'groups', 'preferred-username', 'access-token', 'redirect'].map((n) => `x-auth-request-${n}`),
    ...['user', 'email', 'groups', 'preferred-username', 'access-token'].map((n) => `x-forwarded-${n}`),
    'gap-auth',
  ],
  'Authelia and Authentik': [
    ...['name', 'email'].map((n) => `remote-${n}`),
    ...['username', 'groups', 'email', 'name', 'uid', 'jwt', 'entitlements'].map((n) => `x-authentik-${n}`),
  ],
  'Keycloak gatekeeper': [
    'x-auth-userid',
    'x-auth-username',
    'x-auth-email',
    'x-auth-roles',
    'x-auth-groups',
    'x-auth-token',
    'x-auth-subject',
  ],
  'Google IAP and Cloud': [
    'x-goog-authenticated-user-email',
    'x-goog-authenticated-user-id',
    'x-goog-iap-jwt-assertion',
    'x-serverless-authorization',
    'x-goog-user-project',
    'x-goog-iam-authorization-token',
    'x-appengine-user-email',
    'x-endpoint-api-userinfo',
    'x-apigateway-api-userinfo',
  ],
  Azure: [
    'x-ms-client-principal',
    'x-ms-client-principal-id',
    'x-ms-client-principal-name',
    'x-ms-client-principal-idp',
    'x-ms-token-aad-access-token',
    'x-ms-token-aad-id-token',
    'x-arr-clientcert',
  ],
  AWS: [
    'x-amzn-oidc-data',
    'x-amzn-oidc-identity',
    'x-amzn-oidc-accesstoken',
    'x-amzn-mtls-clientcert',
    'x-amzn-mtls-clientcert-subject',
    'x-amzn-mtls-clientcert-leaf',
    'x-amz-security-token',
    'x-amzn-bedrock-agentcore-identity',
  ],
  Cloudflare: [
    'cf-access-jwt-assertion',
    'cf-access-authenticated-user-email',
    'cf-access-client-id',
    'cf-access-client-secret',
    'cf-access-token',
    'cf-connecting-ip',
    'cf-client-cert-der-base64',
  ],
  Tailscale: [
    'tailscale-user-login',
    'tailscale-user-name',
    'tailscale-user-profile-pic',
    'tailscale-headers-info',
    'x-webauth-user',
    'x-webauth-name',
  ],
  Pomerium: [
    'x-pomerium-jwt-assertion',
    'x-pomerium-claim-email',
    'x-pomerium-claim-user',
    'x-pomerium-claim-groups',
    'x-pomerium-authorization',
  ],
  Teleport: ['teleport-jwt-assertion', 'x-teleport-username'],
  Kubernetes: [
    'impersonate-user',
    'impersonate-group',
    'impersonate-uid',
    'impersonate-extra-scopes',
    'x-remote-extra-scopes',
    'x-remote-uid',
  ],
  'Istio and Envoy': [
    'x-forwarded-client-cert',
    'x-spiffe-id',
    'x-jwt-payload',
    'x-jwt-assertion',
    'x-jwt-claim-sub',
    'x-jwt-signature-verified',
    'x-envoy-peer-metadata',
    'x-envoy-peer-metadata-id',
    'x-envoy-downstream-service-cluster',
    'x-envoy-downstream-service-node',
    'x-envoy-original-dst-host',
    'x-ext-authz-check-result',
    'l5d-client-id',
    'baggage-user',
  ],
  'TLS in front of a server': [
    'client-cert',
    'client-cert-chain',
    'ssl-client-cert',
    'ssl-client-verify',
    'ssl-client-subject-dn',
    'x-ssl-client-cert',
    'x-ssl-client-s-dn',
    'x-ssl-client-verify',
    'x-client-cert',
    'x-client-dn',
    'x-client-verified',
    'x-forwarded-tls-client-cert',
    'x-forwarded-tls-client-cert-info',
  ],
  'API gateways': [
    'x-consumer-id',
    'x-consumer-username',
    'x-consumer-custom-id',
    'x-consumer-groups',
    'x-credential-identifier',
    'x-anonymous-consumer',
    'x-authenticated-userid',
    'x-authenticated-scope',
    'x-userinfo',
    'x-access-token',
    'x-id-token',
    'x-api-key-id',
    'x-application-id',
    'x-credentials-key',
    'x-mashery-oauth-user-context',
    'x-apigee-user',
    'x-tyk-user',
  ],
  'gateways of models': [
    'openai-organization',
    'openai-project',
    'x-litellm-user-id',
    'x-litellm-end-user-id',
    'x-litellm-api-key',
    'helicone-user-id',
    'helicone-auth',
    'x-portkey-user',
    'x-portkey-virtual-key',
    'x-portkey-metadata',
    'x-openwebui-user-id',
    'x-openwebui-user-email',
    'x-openwebui-user-role',
    'x-openwebui-user-name',
    'x-openwebui-user-jwt',
    'x-llm-user',
    'x-end-user-id',
    'x-goog-api-client-user',
    'x-anthropic-user-id',
  ],
  Applications: [
    'x-user',
    'x-user-id',
    'x-user-email',
    'x-user-name',
    'x-user-roles',
    'x-username',
    'x-userid',
    'x-account-id',
    'x-tenant-id',
    'x-org-id',
    'x-scope-orgid',
    'x-grafana-user',
    'x-grafana-id',
    'x-gitlab-user',
    'x-github-user',
    'x-hasura-user-id',
    'x-hasura-role',
    'x-hasura-admin-secret',
    'x-principal',
    'x-principal-id',
    'x-identity',
    'x-caller',
    'x-caller-identity',
    'x-on-behalf-of',
    'x-act-as',
    'x-sudo',
    'x-run-as',
    'x-runas',
    'x-role',
    'x-roles',
    'x-groups',
    'x-scopes',
    'x-admin',
    'x-authorization',
    'x-session-token',
    'x-csrf-token',
    'from',
    'cookie',
    'cookie2',
    'proxy-authorization',
    'authentication-info',
    'dpop',
    'signature',
    'signature-input',
  ],
  'single sign-on of the old kind': [
    'sm-user',
    'sm-userdn',
    'sm-universalid',
    'oam-remote-user',
    'iv-user',
    'iv-groups',
    'iv-creds',
    'http-oblix-uid',
    'shib-identity-provider',
    'shib-session-id',
    'eppn',
    'persistent-id',
    'mail',
    'uid',
    'osso-user-dn',
    'x-shib-user',
    'x-cas-user',
    'x-saml-subject',
    'x-isrw-proxy-auth-user',
    'x-forwarded-for-user',
  ],
  'addresses that are trusted': [
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-server',
    'x-forwarded-prefix',
    'x-real-ip',
    'true-client-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'x-originating-ip',
    'fastly-client-ip',
    'x-azure-clientip',
    'x-original-forwarded-for',
    'x-envoy-internal',
  ],
};
const names = Object.values(KNOWN).flat();

let stack: Stack;
let token: string;
let attempt: Attempts;
beforeAll(async () => {
  stack = await startStack({
    config: EVERY_REFUSAL,
    // As little of it as can be is Envoy's: a mesh lets underscores through and keeps the certificate header, unless told otherwise.
    envoy: ({ static_resources: { listeners } }) =>
      Object.assign(listeners[0]!.filter_chains[0]!.filters[0]!.typed_config, {
        common_http_protocol_options: { headers_with_underscores_action: 'ALLOW' },
        forward_client_cert_details: 'ALWAYS_FORWARD_ONLY',
      }),
  });
  token = await stack.token('sam');
  attempt = attempts(stack);
});
afterAll(() => stack.close());

/** All that a model gets of a call that carries nothing of the SDK's. */
const AT_THE_MODEL = {
  host: 'llm.example.com',
  'content-type': 'application/json',
  'content-length': String(BODY.length),
  'x-forwarded-proto': 'http',
  'x-envoy-external-address': '127.0.0.1',
  'x-request-id': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/),
  'x-sallyport-upstream': 'model_demo_1',
  'x-sallyport-session': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/),
  'x-sallyport-caller': 'demo/sam',
  authorization: 'Bearer model-secret',
};

const titled = (name: string): string => name.replaceAll(/(^|-)([a-z])/g, (letter) => letter.toUpperCase());
const call = (...headers: readonly string[]): Buffer => rawRequest(token, { body: BODY, headers });

test('the table has each header once', () => {
  expect(names.length).toBeGreaterThan(200);
  expect(names).toEqual([...new Set(names)]);
});

describe.each(Object.entries(KNOWN))('%s', (_reader, headers) => {
  test.each(headers)(
    '%s does not reach the model: in any case, with underscores, twice, as somebody else',
    async (name) => {
      const lines = [
        `${name}: boss`,
        `${titled(name)}: boss`,
        `${name.toUpperCase()}: boss@example.com`,
        `${name.replaceAll('-', '_')}: boss`,
        `${titled(name).replaceAll('-', '_')}: boss`,
        `${name}:`,
      ];
      const arrived = await attempt.passes(call(...lines));
      expect(arrived.headers).toEqual(AT_THE_MODEL);
    },
  );
});

describe('headers that Connection lists (RFC 9110, section 7.6.1: a proxy drops those)', () => {
  /** Envoy refuses a request that wants these dropped. */
  const kept = new Set(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
  /** As many as Envoy lets one request list, beside `close`. */
  const most = 8;

  test('are dropped by Envoy or by the gate: none reaches the model', async () => {
    const listed = names.filter((name) => !kept.has(name));
    for (let at = 0; at < listed.length; at += most) {
      const some = listed.slice(at, at + most);
      const arrived = await attempt.passes(
        call(`Connection: close, ${some.join(', ')}`, ...some.map((name) => `${titled(name)}: boss`)),
      );
      expect(arrived.headers, some.join()).toEqual(AT_THE_MODEL);
    }
  });

  test.each([...kept])('%s in it ends the request at Envoy', async (name) => {
    await attempt.refused(
      { status: 0, detail: 'connection_header_rejected' },
      call(`Connection: close, ${name}`, `${name}: 10.0.0.1`),
    );
  });
});

test('none reaches the model over HTTP/2, in which they come in lower case, twice', async () => {
  const single = new Set(['from', 'proxy-authorization', 'authentication-info', 'true-client-ip']);
  const session = http2.connect(stack.url);
  try {
    for (let at = 0; at < names.length; at += 30) {
      const before = stack.model.arrived.length;
      const some = names.slice(at, at + 30).map((name) => [name, single.has(name) ? 'boss' : ['boss', 'second']]);
      const stream = session.request({
        ...Object.fromEntries(some),
        ':method': 'POST',
        ':path': '/v1/chat/completions',
        ':authority': 'llm.example.com',
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': BODY.length,
      });
      stream.end(BODY);
      const status = await new Promise((resolve, reject) => {
        stream.on('response', (head) => resolve(head[':status']));
        stream.on('error', reject);
      });
      stream.resume();
      expect(status, some.join()).toBe(200);
      expect(stack.model.arrived.slice(before).map(({ headers }) => headers)).toEqual([AT_THE_MODEL]);
    }
  } finally {
    session.close();
  }
});

test('whatever they say, the record has who the token names', async () => {
  const known = (await stack.journal()).length;
  for (let at = 0; at < names.length; at += 60)
    await attempt.passes(call(...names.slice(at, at + 60).map((name) => `${name}: boss`)));
  const callers = (await stack.journal())
    .slice(known)
    .flatMap((line) => (line.kind === 'event' && line.event.type === 'request' ? [line.event['caller']] : []));
  expect(callers).toHaveLength(Math.ceil(names.length / 60));
  for (const caller of callers) expect(caller).toMatchObject({ provider: 'demo', subject: 'sam', kind: 'person' });
});
