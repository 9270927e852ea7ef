import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/commands/cli.ts';
import { loginCommand } from '../../../../src/commands/login.ts';
import { Browser, enterCode, signInAs } from '../../../support/login/browser.ts';
import { demo, env, gateway, kept, login } from './harness.ts';

describe('login by device code', () => {
  it('shows address and code, waits, and gets a token', async () => {
    let shown = '';
    const io = {
      stdout: { write: () => true },
      stderr: {
        write: (text: string) => {
          shown += text;
          const code = /enter the code {2}(\S+)/.exec(text)?.[1];
          const url = /^ {2}(http\S+)$/m.exec(shown)?.[1];
          if (code !== undefined && url !== undefined) void enterCode(url, code, 'sam');
        },
      },
      env: env(),
      user: 'ann',
    };
    const open = async () => {
      throw new Error('no browser is to be opened');
    };
    expect(await runCli([loginCommand(open, 20_000)], ['login', '--device'], io, '1')).toBe(0);
    expect(decodeJwt(kept().token)).toMatchObject({ sub: 'sam' });
    expect(kept().refreshToken).toEqual(expect.any(String));
  }, 20_000);
});

describe('login by device code, refused', () => {
  it('says so when the user cancels', async () => {
    let shown = '';
    const io = {
      stdout: { write: () => true },
      stderr: {
        write: (text: string) => {
          shown += text;
          const code = /enter the code {2}(\S+)/.exec(text)?.[1];
          if (code === undefined) return;
          const browser = new Browser();
          void browser
            .open(/^ {2}(http\S+)$/m.exec(shown)?.[1] ?? '')
            .then((page) => browser.submit(page, { user_code: code }))
            .then((page) => browser.submit(page, { abort: 'yes' }));
        },
      },
      env: env(),
      user: 'ann',
    };
    expect(await runCli([loginCommand(async () => {}, 20_000)], ['login', '--device'], io, '1')).toBe(1);
    expect(shown).toMatch(/provider demo did not let you in \(access_denied/);
  }, 20_000);
});

describe('which gateway and provider', () => {
  it.each([
    ['https://', 2, 'is not the URL of a gateway'],
    ['ftp://gateway.example', 2, 'is not the URL of a gateway'],
    ['http://gateway.example', 2, 'must begin with https://'],
    ['https://user@gateway.example', 2, 'is not the URL of a gateway'],
    ['http://127.0.0.1:9', 3, 'cannot be reached at http://127.0.0.1:9'],
  ])('refuses %s', async (url, code, message) => {
    const result = await login((u) => signInAs(u, 'jane'), ['--gateway', url]);
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)]);
  });

  it('tells a server that is no gateway, or too old a one, from one that is down', async () => {
    const other = createServer((_, response) => response.writeHead(404).end('no')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const { code, stderr } = await login((u) => signInAs(u, 'jane'), ['--gateway', url]);
    other.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/answers, but it is no gateway[\s\S]*publicUrl/);
  });

  it.each([
    [{ issuer: 'https://other.example' }, 2, 'calls itself https://other.example'],
    [{ token_endpoint: 'https://evil.example/token' }, 1, 'on another host, evil.example'],
    [{ token_endpoint: 7 }, 1, 'token_endpoint'],
    [{ sallyport_providers: undefined }, 1, 'sallyport_providers'],
    [{ sallyport_providers: [] }, 1, 'no identity provider that one can sign in with'],
    [
      { sallyport_providers: [{ name: 'k8s', kind: 'oidc', issuer: 'https://k8s.example' }] },
      1,
      'no identity provider',
    ],
  ])('refuses metadata with %j', async (metadata, code, message) => {
    gateway.metadata = metadata;
    const result = await login((url) => signInAs(url, 'jane'));
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)]);
  });

  it('asks for --provider where there are several and nobody to ask, and takes the one that is named', async () => {
    gateway.metadata = { sallyport_providers: [demo(), { ...demo(), name: 'other', issuer: 'http://127.0.0.1:9' }] };
    const unnamed = await login((url) => signInAs(url, 'jane'));
    expect([unnamed.code, unnamed.stderr]).toEqual([2, expect.stringContaining('--provider demo | other')]);
    const unknown = await login((url) => signInAs(url, 'jane'), ['--provider', 'none']);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('There is demo, other.')]);
    expect((await login((url) => signInAs(url, 'jane'), ['--provider', 'demo'])).code).toBe(0);
    const down = await login((url) => signInAs(url, 'jane'), ['--provider', 'other']);
    expect([down.code, down.stderr]).toEqual([3, expect.stringContaining('provider other cannot be reached')]);
  });

  it('asks which of several on a terminal, until the answer is one of them', async () => {
    gateway.metadata = { sallyport_providers: [{ ...demo(), name: 'other', issuer: 'http://127.0.0.1:9' }, demo()] };
    let asked = '';
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const io = {
      stdin,
      stdout: { write: () => true },
      stderr: {
        write: (text: string) => {
          asked += text;
          if (text.startsWith('Go on?')) stdin.write('y\n');
          if (text.startsWith('1-2: ')) stdin.write(asked.split('1-2: ').length === 2 ? '7\n' : '2\n');
        },
      },
      env: env(),
      user: 'ann',
    };
    expect(await runCli([loginCommand((url) => signInAs(url, 'jane'))], ['login'], io, '1')).toBe(0);
    expect(asked).toMatch(/Sign in with which[\s\S]* {2}1 {2}other[\s\S]* {2}2 {2}demo {2}http[\s\S]*1-2: 1-2: /);
    expect(kept()).toMatchObject({ provider: 'demo' });
  });

  it('exchanges the ID token where the gateway says so', async () => {
    gateway.metadata = { sallyport_providers: [{ ...demo(), exchange: 'id_token' }] };
    expect((await login((url) => signInAs(url, 'sam'))).code).toBe(0);
    expect(gateway.exchanged).toMatchObject([{ type: 'id_token', subject: 'sam' }]);
    expect(decodeJwt(gateway.exchanged[0]?.token ?? '')).toMatchObject({ aud: 'sallyport-cli' });
  });

  it('opens no page that is no web address, whatever the gateway names', async () => {
    gateway.metadata = {
      authorization_endpoint: undefined,
      sallyport_providers: [{ name: 'adfs', kind: 'saml', issuer: 'urn:adfs' }],
    };
    const none = await login((url) => signInAs(url, 'jane'));
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('offers no sign-in in the browser')]);
    gateway.metadata = { ...gateway.metadata, authorization_endpoint: 'file:///bin/sh' };
    const file = await login((url) => signInAs(url, 'jane'));
    expect([file.code, file.stderr, file.page]).toEqual([
      1,
      expect.stringContaining('authorization_endpoint'),
      undefined,
    ]);
  });

  it('opens no page of a provider that is no web address', async () => {
    const evil = createServer((_, response) => response.end(JSON.stringify(discovery))).listen(0, '127.0.0.1');
    await once(evil, 'listening');
    const issuer = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`;
    const discovery = {
      issuer,
      authorization_endpoint: 'file:///bin/sh',
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
    };
    gateway.metadata = { sallyport_providers: [{ ...demo(), issuer }] };
    const { code, stderr, page } = await login((url) => signInAs(url, 'jane'));
    evil.close();
    expect([code, stderr, page]).toEqual([1, expect.stringContaining('only HTTP and HTTPS'), undefined]);
  });

  it('says which setting is wrong when the provider does not know the client', async () => {
    gateway.metadata = { sallyport_providers: [{ ...demo(), client_id: 'stranger', flow: 'device' }] };
    const { code, stderr } = await login((url) => signInAs(url, 'jane'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('login.clientId')]);
  });

  it('shows what the gateway says when it does not take the provider’s token, and whose clock is off', async () => {
    gateway.refusal = { status: 400, error: 'invalid_grant', error_description: 'The token has expired.\u001b[31m' };
    const { code, stderr, page } = await login((url) => signInAs(url, 'jane'));
    expect([code, page?.status]).toEqual([1, 400]);
    expect(stderr).toContain('The gateway said no (invalid_grant: The token has expired.\\x1b[31m).\n');
    gateway.clockAheadMs = 7_200_000;
    const late = await login((url) => signInAs(url, 'jane'));
    expect(late.stderr).toMatch(/This machine's clock is 7(199|200|201) s behind it\./);
  });
});
