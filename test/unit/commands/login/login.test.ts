import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/commands/cli.ts';
import { type DemoServer, startDemoProvider } from '../../../../src/commands/demo/provider.ts';
import { loginCommand } from '../../../../src/commands/login.ts';
import { logoutCommand } from '../../../../src/commands/logout.ts';
import { demoToken, tokenCommand } from '../../../../src/commands/token.ts';
import { whoamiCommand } from '../../../../src/commands/whoami.ts';
import { Browser, enterCode, type Page, signInAs } from '../../../support/login/browser.ts';
import { startTestGateway, type TestGateway } from '../../../support/login/gateway.ts';
import { run } from '../run.ts';

const root = join(import.meta.dirname, '..', '..', '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'sallyport-login-'));
let provider: DemoServer;
let gateway: TestGateway;
let home: string;
let homes = 0;

const scopes = ['openid', 'email', 'profile', 'offline_access'];
const demo = () => ({ name: 'demo', kind: 'oidc', issuer: provider.url, client_id: 'sallyport-cli', scopes });

beforeAll(async () => {
  provider = await startDemoProvider({ port: 0, stateDir: join(folder, 'idp') });
});
beforeEach(async () => {
  gateway = await startTestGateway([demo()]);
  home = join(folder, `home-${homes++}`);
});
afterEach(() => gateway.close());
afterAll(async () => {
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

const env = () => ({ XDG_CONFIG_HOME: home, SALLYPORT_GATEWAY: gateway.url, SALLYPORT_CONFIG: join(folder, 'none') });
const credentialsFile = () => join(home, 'sallyport', 'credentials.json');
const kept = () => JSON.parse(readFileSync(credentialsFile(), 'utf8')).gateways[gateway.url];

interface Signed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the browser was shown in the end. */
  readonly page: Page | undefined;
}

/** Runs `login` with a browser that does `visit` with the URL it is given. */
async function login(
  visit: (url: string) => Promise<Page>,
  args: readonly string[] = [],
  timeoutMs = 10_000,
): Promise<Signed> {
  let page: Promise<Page> | undefined;
  const open = async (url: string) => {
    page = visit(url);
    page.catch(() => {});
  };
  const result = await run([loginCommand(open, timeoutMs)], ['login', ...args], { env: env() });
  return { ...result, page: await page?.catch(() => undefined) };
}

const cli = (...args: string[]) => run([tokenCommand, whoamiCommand, logoutCommand], args, { env: env() });

/** Makes the kept token look as if it expired at that time. */
function expire(atMs = Date.now()): void {
  const file = JSON.parse(readFileSync(credentialsFile(), 'utf8'));
  file.gateways[gateway.url].expiresAtMs = atMs;
  writeFileSync(credentialsFile(), JSON.stringify(file));
}

describe('login in the browser', () => {
  it('gets a token of the gateway by way of the provider, keeps it for this user alone, and says who one is', async () => {
    const { code, stdout, stderr, page } = await login((url) => signInAs(url, 'jane'));
    expect([code, stderr.includes('The browser opens')]).toEqual([0, true]);
    expect(stdout).toMatch(/You are +demo\/jane\n/);
    expect(stdout).toMatch(/Groups +ml-eng, pii-cleared\n/);
    expect(stdout).toMatch(/Token +good for 15 min, then renewed\n/);
    expect(gateway.exchanged).toMatchObject([{ type: 'access_token', subject: 'jane' }]);
    expect(kept()).toMatchObject({ provider: 'demo', token: gateway.issued[0], refreshToken: expect.any(String) });
    expect(statSync(credentialsFile()).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, 'sallyport')).mode & 0o777).toBe(0o700);
    expect(page).toMatchObject({ status: 200, text: expect.stringContaining('This page may be closed.') });
    for (const secret of [kept().token, kept().refreshToken])
      expect(page?.text + stdout + stderr).not.toContain(secret);
  });

  it('asks with PKCE S256, state and nonce, and is answered on the loopback', async () => {
    let asked: URL | undefined;
    await login((url) => {
      asked = new URL(url);
      return signInAs(url, 'sam');
    });
    const parameters = Object.fromEntries(asked?.searchParams ?? []);
    expect(parameters).toMatchObject({
      response_type: 'code',
      client_id: 'sallyport-cli',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/),
    });
  });

  it('prints the address alone with --no-browser', async () => {
    let isOpened = false;
    const stderr: string[] = [];
    const { code } = await new Promise<{ code: number }>((resolve) => {
      const io = {
        stdout: { write: () => true },
        stderr: {
          write: (text: string) => {
            stderr.push(text);
            const url = /^ {2}(http\S+)$/m.exec(text)?.[1];
            if (url !== undefined) void signInAs(url, 'jane');
          },
        },
        env: env(),
        user: 'ann',
      };
      const open = async () => {
        isOpened = true;
      };
      void runCli([loginCommand(open)], ['login', '--no-browser'], io, '1').then((code) => resolve({ code }));
    });
    expect([code, isOpened, stderr.join('').includes('Open this in a browser')]).toEqual([0, false, true]);
  });

  it('shows the address where no browser can be opened', async () => {
    const failing = async (url: string) => {
      void signInAs(url, 'jane');
      throw new Error('no xdg-open');
    };
    const { code, stderr } = await run([loginCommand(failing)], ['login'], { env: env() });
    expect([code, stderr.includes('No browser could be opened')]).toEqual([0, true]);
  });

  it('says so when the user cancels, and keeps nothing', async () => {
    const { code, stdout, stderr, page } = await login((url) => signInAs(url, ''));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /provider demo did not let you in \(access_denied: nobody was chosen\)\.\n {2}→ Run it again/,
    );
    expect(page).toMatchObject({ status: 400, text: expect.stringContaining('The terminal says why.') });
    expect(existsSync(credentialsFile())).toBe(false);
  });

  const answerWith = (parameters: Readonly<Record<string, string>>) => async (url: string) => {
    const back = new URL(new URL(url).searchParams.get('redirect_uri') ?? '');
    back.search = String(new URLSearchParams(parameters));
    const response = await fetch(back);
    return { url: back.href, status: response.status, headers: response.headers, text: await response.text() };
  };

  it('takes no answer with another state', async () => {
    const { code, stderr, page } = await login(answerWith({ code: 'x', state: '<b>other</b>' }));
    expect([code, page?.status]).toEqual([1, 400]);
    expect(stderr).toMatch(/not for this sign-in \(its `state` is another\)[\s\S]*Nothing was stored/);
    expect(page?.text).not.toContain('other');
  });

  it('takes no answer of another issuer (RFC 9207)', async () => {
    const { code, stderr } = await login(async (url) => {
      const state = new URL(url).searchParams.get('state') ?? '';
      return answerWith({ code: 'x', state, iss: 'https://evil.example' })(url);
    });
    expect([code, stderr]).toEqual([1, expect.stringContaining('(its `iss` is another)')]);
    expect(existsSync(credentialsFile())).toBe(false);
  });

  it('answers nobody but the redirect: other paths, methods and host names get nothing', async () => {
    const seen: number[] = [];
    const { code } = await login(async (url) => {
      const back = new URL(url).searchParams.get('redirect_uri') ?? '';
      const state = new URL(url).searchParams.get('state') ?? '';
      for (const [target, init] of [
        [new URL('/favicon.ico', back), {}],
        [new URL(back), {}],
        [new URL(`?state=${state}&code=x`, back), { method: 'POST' }],
      ] as const)
        seen.push((await fetch(target, init)).status);
      const rebound = request(`${back}?state=${state}&code=x`, { headers: { host: 'evil.example' } });
      const [response] = await once(rebound.end(), 'response');
      seen.push(response.statusCode);
      response.resume();
      return signInAs(url, 'jane');
    });
    expect([code, ...seen]).toEqual([0, 404, 404, 404, 421]);
  });

  it('gives up after its time', async () => {
    const { code, stderr } = await run([loginCommand(async () => {}, 50)], ['login'], { env: env() });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Nobody signed in within/);
  });

  it('says which port is taken when one is asked for', async () => {
    const taken = createTcpServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { code, stderr } = await login(
      (url) => signInAs(url, 'jane'),
      ['--redirect-uri', `http://127.0.0.1:${port}/callback`],
    );
    taken.close();
    expect([code, stderr.includes(`Port ${port}`), stderr.includes('EADDRINUSE')]).toEqual([1, true, true]);
  });

  it.each(['https://127.0.0.1/callback', 'http://evil.example/callback', 'http://127.0.0.1.evil.example/', 'no'])(
    'is not answered at %s',
    async (uri) => {
      const { code, stderr } = await login((url) => signInAs(url, 'jane'), ['--redirect-uri', uri]);
      expect([code, stderr.includes('is no address on this machine')]).toEqual([2, true]);
    },
  );

  it('uses localhost and a path where the provider wants them', async () => {
    const { code } = await login((url) => signInAs(url, 'jane'), ['--redirect-uri', 'http://localhost/callback']);
    expect(code).toBe(0);
  });
});

describe('Ctrl-C', () => {
  it('stops a login that waits, with one line and 130, and keeps nothing', async () => {
    const child = spawn(process.execPath, [join(root, 'src', 'main.ts'), 'login', '--no-browser'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], ...env() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (part) => {
      stderr += part;
      if (String(part).includes('Waiting for the sign-in')) child.kill('SIGINT');
    });
    const [code] = await once(child, 'close');
    expect([code, stderr]).toEqual([130, expect.stringMatching(/\nStopped\.\n {2}→ Nothing was stored/)]);
    expect(existsSync(credentialsFile())).toBe(false);
  });

  it('stops the proxy, which has printed its address and its key', async () => {
    await gateway.close();
    gateway = await startTestGateway([demo()], 'http://127.0.0.1:9');
    await login((url) => signInAs(url, 'jane'));
    const child = spawn(process.execPath, [join(root, 'src', 'main.ts'), 'proxy', '--port', '0'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], ...env() },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [printed] = await once(child.stdout, 'data');
    const key = readFileSync(join(home, 'sallyport', 'proxy-key'), 'utf8').trim();
    expect(String(printed)).toMatch(/^http:\/\/127\.0\.0\.1:\d+ leads to http:\/\/127\.0\.0\.1:9, as you\./);
    expect(String(printed)).toContain(`OPENAI_API_KEY=${key}\n`);
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(0);
  });
});

describe('login by SAML', () => {
  it('goes through the gateway’s own authorization endpoint, and says that nothing renews it', async () => {
    await gateway.close();
    gateway = await startTestGateway([{ name: 'adfs', kind: 'saml', issuer: 'urn:adfs' }]);
    const { code, stdout, stderr } = await login((url) => new Browser().open(url));
    expect([code, stderr.includes('nothing to renew it with')]).toEqual([0, true]);
    expect(stdout).toMatch(/You are +adfs\/ada\n/);
    expect(kept()).not.toHaveProperty('refreshToken');
    expire();
    const after = await cli('token');
    expect([after.code, after.stdout]).toEqual([1, '']);
    expect(after.stderr).toMatch(/has ended: the provider gave nothing to renew it with[\s\S]*sallyport login/);
  });
});

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

describe('what is kept', () => {
  it('is not used while others may read it', async () => {
    await login((url) => signInAs(url, 'jane'));
    chmodSync(credentialsFile(), 0o644);
    const { code, stdout, stderr } = await cli('token');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/may be read or written by others \(mode 644\)[\s\S]*chmod 600/);
  });

  it('is not used when it is not what login wrote', async () => {
    mkdirSync(join(home, 'sallyport'), { recursive: true, mode: 0o700 });
    writeFileSync(credentialsFile(), '{"version":2}', { mode: 0o600 });
    const { code, stderr } = await cli('token');
    expect([code, stderr]).toEqual([1, expect.stringContaining('is not what `sallyport login` writes')]);
  });

  it('is not put where others may write', async () => {
    mkdirSync(join(home, 'sallyport'), { recursive: true });
    chmodSync(join(home, 'sallyport'), 0o777);
    const { code, stderr } = await login((url) => signInAs(url, 'jane'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('chmod 700')]);
  });

  it('is refused before the sign-in where nothing can be kept', async () => {
    writeFileSync(home, 'a file where the folder should be');
    let isOpened = false;
    const { code, stderr } = await login(async (url) => {
      isOpened = true;
      return signInAs(url, 'jane');
    });
    expect([code, isOpened]).toEqual([1, false]);
    expect(stderr).toMatch(/Nothing can be kept in .*XDG_CONFIG_HOME/s);
  });

  it('is found again without naming the gateway', async () => {
    await login((url) => signInAs(url, 'jane'));
    const { SALLYPORT_GATEWAY: _, ...bare } = env();
    const { code, stdout } = await run([tokenCommand], ['token'], { env: bare });
    expect([code, stdout]).toEqual([0, `${kept().token}\n`]);
  });
});

describe('token', () => {
  it('prints the kept token and nothing else while it is good for long enough', async () => {
    await login((url) => signInAs(url, 'jane'));
    expect(await cli('token')).toEqual({ code: 0, stdout: `${gateway.issued[0]}\n`, stderr: '' });
    expect(await cli('token', '--min-validity', '14m')).toMatchObject({ stdout: `${gateway.issued[0]}\n` });
    expect(gateway.issued).toHaveLength(1);
  });

  it('renews one that is good for less, and keeps the provider’s new refresh token', async () => {
    await login((url) => signInAs(url, 'jane'));
    const before = kept();
    expire(Date.now() + 59_000);
    const { code, stdout, stderr } = await cli('token');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`${gateway.issued[1]}\n`);
    expect(kept().refreshToken).not.toBe(before.refreshToken);
    expire();
    expect((await cli('token')).stdout).toBe(`${gateway.issued[2]}\n`);
  });

  it('renews one that is newer than the clock: the clock went back, and its expiry says nothing', async () => {
    await login((url) => signInAs(url, 'jane'));
    const file = JSON.parse(readFileSync(credentialsFile(), 'utf8'));
    file.gateways[gateway.url].obtainedAtMs = Date.now() + 3_600_000;
    file.gateways[gateway.url].expiresAtMs = Date.now() + 4_000_000;
    writeFileSync(credentialsFile(), JSON.stringify(file));
    expect((await cli('token')).stdout).toBe(`${gateway.issued[1]}\n`);
  });

  it('is renewed once by ten processes at once, which all get the same one', async () => {
    await login((url) => signInAs(url, 'jane'));
    expire();
    const outputs = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const child = spawn(process.execPath, [join(root, 'src', 'main.ts'), 'token'], {
          cwd: folder,
          env: { PATH: process.env['PATH'], ...env() },
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let out = '';
        child.stdout.on('data', (part) => {
          out += part;
        });
        const [code] = await once(child, 'close');
        return `${code} ${out}`;
      }),
    );
    expect(new Set(outputs)).toEqual(new Set([`0 ${gateway.issued[1]}\n`]));
    expect(gateway.issued).toHaveLength(2);
    // The provider takes the second use of a refresh token for theft: it would refuse this one.
    expire();
    expect((await cli('token')).code).toBe(0);
  }, 60_000);

  it('says that one must sign in again when the provider renews no more', async () => {
    await login((url) => signInAs(url, 'jane'));
    const file = JSON.parse(readFileSync(credentialsFile(), 'utf8'));
    file.gateways[gateway.url].refreshToken = 'used-up';
    writeFileSync(credentialsFile(), JSON.stringify(file));
    expire();
    const { code, stdout, stderr } = await cli('token');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/sign-in to \S+ has ended: .* renews it no more\.\n {2}→ Run `sallyport login/);
  });

  it('keeps the new refresh token even when the gateway then fails', async () => {
    await login((url) => signInAs(url, 'jane'));
    expire();
    gateway.refusal = { status: 503, error: 'temporarily_unavailable', error_description: '' };
    expect((await cli('token')).code).toBe(1);
    gateway.refusal = undefined;
    expect((await cli('token')).stdout).toBe(`${gateway.issued[1]}\n`);
  });

  it('ends with 1 for who is not signed in, and with 3 when the gateway is down', async () => {
    const { code, stderr } = await cli('token');
    expect([code, stderr]).toEqual([1, expect.stringContaining(`You are not signed in to ${gateway.url}`)]);
    await login((url) => signInAs(url, 'jane'));
    expire();
    await gateway.close();
    expect((await cli('token')).code).toBe(3);
  });

  it('exchanges a token file without a sign-in, read as it is now', async () => {
    const path = join(folder, 'subject');
    for (const who of ['batch', 'sam']) {
      writeFileSync(path, `${await demoToken(provider.url, who)}\n`);
      const { code, stdout, stderr } = await cli('token', '--subject-token-file', path);
      expect([code, stderr]).toEqual([0, '']);
      expect(decodeJwt(stdout.trim())).toMatchObject({ sub: who });
    }
    expect(gateway.exchanged.map(({ type }) => type)).toEqual(['jwt', 'jwt']);
    expect(existsSync(credentialsFile())).toBe(false);
  });

  it.each([
    ['that is not there', undefined, 'cannot be read (ENOENT)'],
    ['that is empty', '', 'does not hold a JWT'],
    ['with two tokens', 'a.b.c\nd.e.f', 'does not hold a JWT'],
    ['with a header in front', 'Bearer a.b.c', 'does not hold a JWT'],
    ['of another kind', '{"token":"a.b.c"}', 'does not hold a JWT'],
  ])('exchanges no file %s', async (_, text, message) => {
    const path = join(folder, `file-${homes}`);
    if (text !== undefined) writeFileSync(path, text);
    const { code, stdout, stderr } = await cli('token', '--subject-token-file', path);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)]);
  });

  it.each(['1', '-1s', '1d', 'soon'])('does not take %s as --min-validity', async (text) => {
    expect((await cli('token', '--min-validity', text)).code).toBe(2);
  });
});

describe('whoami and logout', () => {
  it('whoami says who the gateway takes one for, also as JSON', async () => {
    await login((url) => signInAs(url, 'sam'));
    expect((await cli('whoami')).stdout).toMatch(/E-mail +sam@example\.com\nGroups +contractors\nTeam +ml\n/);
    expect(JSON.parse((await cli('whoami', '--json')).stdout)).toMatchObject({ subject: 'sam', provider: 'demo' });
  });

  it('logout takes the token back at the gateway and the renewal at the provider, and forgets both', async () => {
    await login((url) => signInAs(url, 'jane'));
    const { token, refreshToken } = kept();
    const { code, stdout } = await cli('logout');
    expect([code, stdout]).toEqual([0, `Signed out of ${gateway.url}.\n`]);
    expect(gateway.revoked).toEqual([token]);
    expect(kept()).toBeUndefined();
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: 'sallyport-cli',
    });
    const again = await fetch(`${provider.url}/token`, { method: 'POST', body: form });
    expect(await again.json()).toMatchObject({ error: 'invalid_grant' });
    expect((await cli('logout')).stdout).toContain('You were not signed in');
  });

  it('logout forgets the sign-in here also when the gateway is down, and says what is left', async () => {
    await login((url) => signInAs(url, 'jane'));
    await gateway.close();
    const { code, stderr } = await cli('logout');
    expect(code).toBe(1);
    expect(stderr).toMatch(/Forgotten here, but not taken back everywhere:\n {2}The gateway cannot be reached/);
    expect(kept()).toBeUndefined();
  });
});
