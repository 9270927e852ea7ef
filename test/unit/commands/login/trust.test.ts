/** What a gateway may not make the command line do, whoever has got hold of it. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { signInAs } from '../../../support/login/browser.ts';
import { cli, credentialsFile, demo, expire, gateway, kept, login, provider } from './harness.ts';

/** A provider that keeps what it is sent. */
async function startSpy() {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    asked.push(`${request.method} ${request.url} ${body}`);
    const document = {
      issuer: url,
      authorization_endpoint: `${url}/auth`,
      token_endpoint: `${url}/token`,
      revocation_endpoint: `${url}/revoke`,
      jwks_uri: `${url}/jwks`,
    };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify(
        request.url?.includes('.well-known')
          ? document
          : { access_token: 'stolen', token_type: 'Bearer', expires_in: 60 },
      ),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, asked, close: () => server.close() };
}

/** Changes the kept sign-in. */
function change(entry: Readonly<Record<string, unknown>>): void {
  const file = JSON.parse(readFileSync(credentialsFile(), 'utf8'));
  Object.assign(file.gateways[gateway.url], entry);
  writeFileSync(credentialsFile(), JSON.stringify(file));
}

const jane = (url: string) => signInAs(url, 'jane');

describe('the refresh token goes only where it came from', () => {
  it('is kept together with issuer, client, resource and token endpoint', async () => {
    await login(jane);
    expect(kept().source).toEqual({
      issuer: provider.url,
      clientId: 'sallyport-cli',
      tokenEndpoint: `${provider.url}/token`,
    });
  });

  it.each([['token'], ['logout']])('%s sends nothing to another issuer that the gateway names now', async (command) => {
    await login(jane);
    expire();
    const spy = await startSpy();
    gateway.metadata = { sallyport_providers: [{ ...demo(), issuer: spy.url }] };
    const { code, stdout, stderr } = await cli(command);
    spy.close();
    expect([code, stdout, spy.asked]).toEqual([1, '', []]);
    expect(stderr).toContain('The gateway now names another identity provider');
  });

  it.each([
    ['client', { client_id: 'other' }],
    ['resource', { resource: 'https://other.example' }],
  ])('another %s at the same issuer gets no new token', async (_, changed) => {
    await login(jane);
    expire();
    gateway.metadata = { sallyport_providers: [{ ...demo(), ...changed }] };
    const { code, stderr } = await cli('token');
    expect([code, gateway.exchanged.length]).toEqual([1, 1]);
    expect(stderr).toMatch(/now names another[\s\S]*sallyport login/);
  });

  it('nor does another token endpoint of the same issuer', async () => {
    await login(jane);
    expire();
    change({ source: { ...kept().source, tokenEndpoint: 'https://old.example/token' } });
    const { code, stderr } = await cli('token');
    expect([code, gateway.exchanged.length]).toEqual([1, 1]);
    expect(stderr).toContain('token endpoint');
  });

  it('one that says not where it came from is not used', async () => {
    await login(jane);
    expire();
    change({ source: undefined });
    expect((await cli('token')).code).toBe(1);
    expect(gateway.exchanged).toHaveLength(1);
  });
});
