import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/commands/cli.ts';
import { loginCommand } from '../../../../src/commands/login.ts';
import { Browser, signInAs } from '../../../support/login/browser.ts';
import { run } from '../run.ts';
import {
  cli,
  credentialsFile,
  demo,
  env,
  expire,
  folder,
  gateway,
  home,
  kept,
  login,
  root,
  useGateway,
} from './harness.ts';

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

  it('takes no answer with another state, and waits on for its own', async () => {
    const refused: unknown[] = [];
    const { code, stdout, page } = await login(async (url) => {
      const state = new URL(url).searchParams.get('state') ?? '';
      const back = new URL(url).searchParams.get('redirect_uri') ?? '';
      for (const query of [
        'state=x',
        'state=',
        'code=x&state=%3Cb%3Eforeign%3C/b%3E',
        'error=access_denied&state=x',
        `state=x&state=${state}&code=x`,
        `state=${state}&state=x&code=x`,
        `state=${state}x&code=x`,
      ]) {
        const response = await fetch(`${back}?${query}`);
        const text = await response.text();
        refused.push([response.status, text.includes('another sign-in'), text.includes('foreign')]);
      }
      return signInAs(url, 'jane');
    });
    expect(refused).toEqual(Array(7).fill([400, true, false]));
    expect([code, page?.status, stdout.includes('demo/jane')]).toEqual([0, 200, true]);
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
    await useGateway([demo()], 'http://127.0.0.1:9');
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
    await useGateway([{ name: 'adfs', kind: 'saml', issuer: 'urn:adfs' }]);
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
