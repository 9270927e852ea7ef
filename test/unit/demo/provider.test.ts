import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoSecret, personGrant } from '../../../src/commands/demo/people.ts';
import { type DemoServer, startDemoProvider } from '../../../src/commands/demo/provider.ts';
import { demoToken } from '../../../src/commands/token.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'sallyport-provider-'));
let provider: DemoServer;
beforeAll(async () => {
  provider = await startDemoProvider({ port: 0, stateDir });
});
afterAll(async () => {
  await provider.close();
  rmSync(stateDir, { recursive: true });
});

async function token(form: Readonly<Record<string, string>>) {
  const response = await fetch(`${provider.url}/token`, { method: 'POST', body: new URLSearchParams(form) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function verify(jwt: string) {
  const document = (await (await fetch(`${provider.url}/.well-known/openid-configuration`)).json()) as {
    jwks_uri: string;
  };
  const keys = createRemoteJWKSet(new URL(document.jwks_uri));
  return jwtVerify(jwt, keys, { issuer: provider.url, audience: 'sallyport', algorithms: ['ES256'], typ: 'at+jwt' });
}

describe('the demo’s OpenID provider', () => {
  it.each([
    ['jane', { sub: 'jane', email: 'jane@example.com', groups: ['ml-eng', 'pii-cleared'], client_id: 'sallyport-cli' }],
    ['sam', { sub: 'sam', email: 'sam@example.com', groups: ['contractors'], client_id: 'sallyport-cli' }],
    ['batch', { sub: 'batch', groups: ['services'], client_id: 'batch' }],
  ])('gives %s a signed access token for an hour, with groups, for our audience', async (id, claims) => {
    const { payload, protectedHeader } = await verify(await demoToken(provider.url, id));
    expect(payload).toMatchObject(claims);
    expect(payload.email).toBe('email' in claims ? claims.email : undefined);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3_600);
    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
  });

  it.each([
    ['a person it does not know', { grant_type: personGrant, client_id: 'sallyport-cli', person: 'eve' }],
    ['nobody', { grant_type: personGrant, client_id: 'sallyport-cli' }],
    ['a service that asks as a person', { grant_type: personGrant, client_id: 'sallyport-cli', person: 'batch' }],
    ['a client it does not know', { grant_type: personGrant, client_id: 'other', person: 'jane' }],
    ['a service with a wrong secret', { grant_type: 'client_credentials', client_id: 'batch', client_secret: 'wrong' }],
    [
      'a service that asks for a person',
      { grant_type: personGrant, client_id: 'batch', client_secret: demoSecret('batch'), person: 'jane' },
    ],
    ['the people’s client as itself', { grant_type: 'client_credentials', client_id: 'sallyport-cli' }],
  ])('gives no token to %s', async (_, form) => {
    const { status, body } = await token(form);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body).not.toHaveProperty('access_token');
  });

  it('keeps its key across a restart, in a file that only its owner can read', async () => {
    const before = await demoToken(provider.url, 'jane');
    const port = Number(new URL(provider.url).port);
    await provider.close();
    provider = await startDemoProvider({ port, stateDir });
    await expect(verify(before)).resolves.toMatchObject({ payload: { sub: 'jane' } });
    const folder = join(stateDir, 'demo');
    expect(readdirSync(folder)).toEqual(['provider-key.json']);
    expect(statSync(join(folder, 'provider-key.json')).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it('publishes no private part of its key', async () => {
    const { keys } = (await (await fetch(`${provider.url}/jwks`)).json()) as { keys: object[] };
    expect(keys).toHaveLength(1);
    expect(keys[0]).not.toHaveProperty('d');
  });

  it('does not answer under another host name', async () => {
    const { port } = new URL(provider.url);
    const status = await new Promise((resolve, reject) => {
      request({ port, host: '127.0.0.1', path: '/jwks', headers: { host: `rebound.example:${port}` } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(421);
  });

  it('fails to start on a port that is taken, with the code of the system', async () => {
    const port = Number(new URL(provider.url).port);
    await expect(startDemoProvider({ port, stateDir })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
