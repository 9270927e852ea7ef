/** With another implementation on the other side: samlify reads our metadata and requests, and writes what we read. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { readForm, type SamlIdpOptions, signInByBrowser, startSamlIdp } from '../../../support/saml-idp.ts';
import { acs, audience, makeCertificate, startWorld, tokenEndpoint } from '../../../support/saml-world.ts';

const people = {
  ada: { nameId: 'ada-1', attributes: { email: ['ada@corp.test'], groups: ['ml-eng'] } },
};
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function start(options: Partial<SamlIdpOptions> = {}, config: Readonly<Record<string, unknown>> = {}) {
  const clock = { nowMs: Date.UTC(2026, 0, 15, 12) };
  const idp = await startSamlIdp({
    people,
    now: () => clock.nowMs,
    serviceProvider: async (entityId) => {
      expect(entityId).toBe(audience);
      return world.provider.metadata();
    },
    ...options,
  });
  closing.push(() => idp.close());
  const decryption = makeCertificate('rsa');
  const world = await startWorld({
    config: { entityId: idp.entityId, idp: { metadataUrl: idp.metadataUrl }, ...config },
    files: { 'key.pem': decryption.key, 'cert.pem': decryption.cert },
    parts: { now: () => clock.nowMs },
  });
  closing.push(() => world.close());
  return { idp, world, clock };
}

type Started = Awaited<ReturnType<typeof start>>;

/** From `begin` to the fields of the form that the browser brings back. */
async function visit({ world }: Started, relayState = 'state-1') {
  const begun = await world.provider.begin(relayState);
  if ('ok' in begun) throw new Error(begun.detail);
  const page = await fetch(begun.url);
  const { action, fields } = readForm(await page.text());
  return { requestId: begun.requestId, action, fields, samlResponse: fields.get('SAMLResponse') ?? '' };
}

describe('a sign-in with another implementation', () => {
  const kinds: readonly (readonly [string, Partial<SamlIdpOptions>, Record<string, unknown>])[] = [
    ['that signs response and assertion', {}, {}],
    ['that signs the assertion', { signs: 'assertion' }, {}],
    ['that signs with ECDSA', { key: 'ec' }, {}],
    [
      'that encrypts (AES-CBC, in a signed response)',
      { encrypts: true },
      { decryptionKeyFile: 'key.pem', decryptionCertFile: 'cert.pem' },
    ],
  ];
  test.each(kinds)('%s leads to the person', async (_name, options, config) => {
    const started = await start(options, config);
    const { requestId, action, fields, samlResponse } = await visit(started);
    expect(action).toBe(acs);
    expect(fields.get('RelayState')).toBe('state-1');
    expect(started.idp.requests).toEqual([requestId]);
    expect(await started.world.provider.finish(samlResponse, requestId)).toMatchObject({
      ok: true,
      caller: { subject: 'ada-1', email: 'ada@corp.test', groups: ['ml-eng'], issuer: started.idp.entityId },
    });
  });

  test('that says no is refused with what it said', async () => {
    const started = await start();
    started.idp.signedIn = 'nobody';
    const { requestId, samlResponse } = await visit(started);
    expect(await started.world.provider.finish(samlResponse, requestId)).toEqual({
      ok: false,
      reason: 'token_invalid',
      detail: 'the identity provider answered AuthnFailed',
    });
  });

  test('its assertion for the token endpoint is taken', async () => {
    const { idp, world } = await start();
    const assertion = idp.assertion('ada', { audience: tokenEndpoint, recipient: tokenEndpoint });
    expect(await world.provider.bearer(assertion)).toMatchObject({ ok: true, caller: { subject: 'ada-1' } });
  });

  test('a new key is found in its metadata, at most once a minute', async () => {
    const started = await start();
    const { idp, world, clock } = started;
    const first = await visit(started);
    expect(await world.provider.finish(first.samlResponse, first.requestId)).toMatchObject({ ok: true });
    idp.rotate();
    clock.nowMs += 59_000;
    const second = await visit(started);
    expect(await world.provider.finish(second.samlResponse, second.requestId)).toMatchObject({
      ok: false,
      detail: 'the signature does not fit the element and a certificate of the metadata',
    });
    clock.nowMs += 1_000;
    expect(await world.provider.finish(second.samlResponse, second.requestId)).toMatchObject({ ok: true });
  });

  test('a browser is led from here to the IdP and back', async () => {
    const posted: URLSearchParams[] = [];
    const server = createServer(async (req, res) => {
      posted.push(new URLSearchParams(await text(req)));
      res.writeHead(303, { location: '/done' }).end(`${req.method} ${req.url}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => void server.close(() => resolve())));
    const publicUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const idp = await startSamlIdp({ people, serviceProvider: async () => world.provider.metadata() });
    closing.push(() => idp.close());
    const world = await startWorld({
      config: { entityId: idp.entityId, idp: { metadataUrl: idp.metadataUrl } },
      parts: { publicUrl, now: Date.now },
    });
    closing.push(() => world.close());
    const begun = await world.provider.begin('state-2');
    if ('ok' in begun) throw new Error(begun.detail);
    const answer = await signInByBrowser(begun.url);
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/done']);
    expect(await answer.text()).toBe('POST /saml/corp/acs');
    const [form] = posted;
    expect(form?.get('RelayState')).toBe('state-2');
    expect(await world.provider.finish(form?.get('SAMLResponse') ?? '', begun.requestId)).toMatchObject({ ok: true });
  });
});
