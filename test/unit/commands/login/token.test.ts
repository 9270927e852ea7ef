import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { demoToken, tokenCommand } from '../../../../src/commands/token.ts';
import { Browser, signInAs } from '../../../support/login/browser.ts';
import { run } from '../run.ts';
import { cli, credentialsFile, env, expire, folder, gateway, home, kept, login, provider, root } from './harness.ts';

/** Whether the provider still takes a refresh token; it is used up then. */
async function isRenewed(refreshToken: string): Promise<boolean> {
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: 'sallyport-cli' };
  const answer = await fetch(`${provider.url}/token`, { method: 'POST', body: new URLSearchParams(form) });
  const { error } = (await answer.json()) as { error?: string };
  expect([undefined, 'invalid_grant']).toContain(error);
  return error === undefined;
}

describe('what is kept', () => {
  it('is not used while others may read it', async () => {
    await login((url) => signInAs(url, 'jane'));
    chmodSync(credentialsFile(), 0o644);
    const { code, stdout, stderr } = await cli('token');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/may be read or written by others \(mode 644\)[\s\S]*chmod 600/);
  });

  it('is taken back and removed by logout when others may have read it', async () => {
    await login((url) => signInAs(url, 'jane'));
    const { token, refreshToken } = kept();
    chmodSync(credentialsFile(), 0o644);
    const { code, stdout } = await cli('logout');
    expect([code, stdout]).toEqual([0, `Signed out of ${gateway.url}.\n${credentialsFile()} is removed.\n`]);
    expect([gateway.revoked, existsSync(credentialsFile()), await isRenewed(refreshToken)]).toEqual([
      [token],
      false,
      false,
    ]);
  });

  it.each(['', '{"version":2}', 'null', '{"version":1,"gateways":{"x":{}}}'])(
    'is removed by logout when it is %j, which says that nothing could be taken back',
    async (text) => {
      mkdirSync(join(home, 'sallyport'), { recursive: true, mode: 0o700 });
      writeFileSync(credentialsFile(), text, { mode: 0o600 });
      const { code, stderr } = await cli('logout');
      expect([code, existsSync(credentialsFile())]).toEqual([1, false]);
      expect(stderr).toMatch(/not taken back everywhere:\n.* is not what `sallyport login` writes\. It is removed\./);
      expect((await cli('logout')).stdout).toContain('You were not signed in');
    },
  );

  it('is refused before the sign-in where it is damaged', async () => {
    mkdirSync(join(home, 'sallyport'), { recursive: true, mode: 0o700 });
    writeFileSync(credentialsFile(), '{', { mode: 0o600 });
    const { code, stderr, page } = await login((url) => signInAs(url, 'jane'));
    expect([code, page, stderr.includes('`sallyport logout` removes it')]).toEqual([1, undefined, true]);
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

  it('is named in a command that a shell reads as one word', async () => {
    const env = { XDG_CONFIG_HOME: join(home, "it's a; folder"), SALLYPORT_GATEWAY: gateway.url };
    const file = join(env.XDG_CONFIG_HOME, 'sallyport', 'credentials.json');
    mkdirSync(join(env.XDG_CONFIG_HOME, 'sallyport'), { recursive: true, mode: 0o700 });
    writeFileSync(file, '{}');
    chmodSync(file, 0o644);
    const { stderr } = await run([tokenCommand], ['token'], { env });
    const command = /chmod 600 .*?(?=\. Else)/.exec(stderr)?.[0] ?? '';
    expect(spawnSync('/bin/sh', ['-c', command]).status).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
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
    const path = join(folder, `file-${Math.random()}`);
    if (text !== undefined) writeFileSync(path, text);
    const { code, stdout, stderr } = await cli('token', '--subject-token-file', path);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)]);
  });

  it.each(['1', '-1s', '1d', 'soon'])('does not take %s as --min-validity', async (text) => {
    expect((await cli('token', '--min-validity', text)).code).toBe(2);
  });
});

describe('a second login', () => {
  it('takes back what the first one left, also of the same person in the same browser, and works itself', async () => {
    const browser = new Browser();
    const visit = async (url: string) => browser.submit(await browser.open(url), { person: 'jane' });
    await login(visit);
    const { token, refreshToken } = kept();
    expect((await login(visit)).code).toBe(0);
    expect([gateway.revoked, kept().token]).toEqual([[token], gateway.issued[1]]);
    expect(await isRenewed(refreshToken)).toBe(false);
    expire();
    expect((await cli('token')).stdout).toBe(`${gateway.issued[2]}\n`);
  });

  it('that is cancelled leaves the token, and then says that one must sign in', async () => {
    await login((url) => signInAs(url, 'jane'));
    expect((await login((url) => signInAs(url, ''))).code).toBe(1);
    expect([gateway.revoked, (await cli('token')).code]).toEqual([[], 0]);
    expire();
    expect(await cli('token')).toMatchObject({ code: 1, stderr: expect.stringContaining('Run `sallyport login') });
  });

  it('succeeds where the first cannot be taken back, and says so', async () => {
    await login((url) => signInAs(url, 'jane'));
    gateway.metadata = { revocation_endpoint: `${gateway.url}/nobody` };
    const { code, stderr } = await login((url) => signInAs(url, 'sam'));
    expect([code, stderr.includes('could not be ended everywhere: ')]).toEqual([0, true]);
    expect(kept().token).toBe(gateway.issued[1]);
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
    expect(await isRenewed(refreshToken)).toBe(false);
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
