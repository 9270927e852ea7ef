import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/commands/cli.ts';
import { type DemoServer, startDemoProvider } from '../../../src/commands/demo/provider.ts';
import { inspectTokenCommand } from '../../../src/commands/inspect-token.ts';
import { demoToken } from '../../../src/commands/token.ts';
import { startTestGateway, type TestGateway } from '../../support/login/gateway.ts';
import { project } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-inspect-'));
const cwd = process.cwd();
let provider: DemoServer;
let gateway: TestGateway;
let config: ReturnType<typeof project>;

beforeAll(async () => {
  // Where there is no sallyport.yaml.
  process.chdir(folder);
  provider = await startDemoProvider({ port: 0, stateDir: join(folder, 'idp') });
  gateway = await startTestGateway([{ name: 'demo', kind: 'oidc', issuer: provider.url, client_id: 'sallyport-cli' }]);
  config = project('', 'http://llama.models.svc.cluster.local:8000', Number(new URL(provider.url).port));
});
afterAll(async () => {
  process.chdir(cwd);
  await gateway.close();
  await provider.close();
  for (const path of [folder, config.folder]) rmSync(path, { recursive: true });
});

async function inspect(args: readonly string[], stdin?: string) {
  let [stdout, stderr] = ['', ''];
  const io = {
    ...(stdin === undefined ? {} : { stdin: Readable.from([stdin]) }),
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    env: { XDG_CONFIG_HOME: folder },
    user: 'ann',
  };
  return { code: await runCli([inspectTokenCommand], ['inspect-token', ...args], io, '1'), stdout, stderr };
}

async function signed(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256');
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', ...header }).sign(privateKey);
}

describe('inspect-token', () => {
  it('shows header and claims, dates for people, and why nothing was checked', async () => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const token = await signed({ sub: 'jane', exp: nowSeconds + 600, iat: nowSeconds - 7200, roles: ['a', { b: 1 }] });
    const { code, stdout } = await inspect([token]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Header\n {2}alg +ES256\n/);
    expect(stdout).toMatch(/ {2}exp +\d+ {2}\(\d{4}-\d\d-\d\dT[\d:]+Z, in 10 min\)\n/);
    expect(stdout).toMatch(/ {2}iat +\d+ {2}\(.*, 2 h ago\)\n/);
    expect(stdout).toMatch(/ {2}roles +\["a",\{"b":1\}\]\n/);
    expect(stdout).toContain('Not checked: there is no sallyport.yaml here (--config), and no gateway is named');
    expect(stdout).not.toContain(token.split('.')[2]);
  });

  it('escapes what a token could do to a terminal, in names and values', async () => {
    const { stdout } = await inspect([
      await signed({ 'a\u001b[2J': 'x\u001b]0;y\u0007\u202e', nested: { z: '\u001b' } }),
    ]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f\u202e]/);
    expect(stdout).toContain('a\\x1b[2J');
  });

  it.each([['1e308'], ['-1'], ['253402300800000'], ['"soon"'], ['1.5'], ['null']])(
    'does not fail on exp %s',
    async (exp) => {
      const claims = Buffer.from(`{"exp":${exp}}`).toString('base64url');
      const [header, , signature] = (await signed({})).split('.');
      expect((await inspect([`${header}.${claims}.${signature}`])).stdout).toContain('exp');
    },
  );

  it('reads from standard input, with or without what is in front of it', async () => {
    const token = await demoToken(provider.url, 'sam');
    for (const args of [[], ['-']])
      for (const text of [token, `${token}\n`, `Bearer ${token}`, `Authorization: Bearer ${token}\r\n`])
        expect(await inspect([...args, '--config', config.file], text)).toMatchObject({ code: 0 });
  });

  it.each([
    [['a.b.c'], 'the signature is not base64url'],
    [['opaque-token'], 'not three parts'],
    [['a.b.c.d.e'], 'encrypted'],
    [['e30.e30.'], 'the signature is empty'],
  ])('says what is wrong with %j, which is no JWT, and does not repeat it', async (args, why) => {
    const { code, stdout } = await inspect(args);
    expect([code, stdout]).toEqual([1, expect.stringContaining(why)]);
    expect(stdout).not.toContain(args[0]);
  });

  it.each([
    [[], undefined],
    [['-'], undefined],
    [[], ''],
    [['-'], ' \n'],
  ])('ends with 2 without a token: %j %j', async (args, stdin) => {
    expect(await inspect(args, stdin)).toMatchObject({ code: 2, stdout: '' });
  });

  it('says each check of the gate, and its verdict, with a configuration', async () => {
    const { code, stdout } = await inspect(['--config', config.file, await demoToken(provider.url, 'jane')]);
    expect(code).toBe(0);
    for (const check of ['algorithm', 'type', 'issuer', 'audience', 'dates', 'key', 'signature'])
      expect(stdout).toMatch(new RegExp(`^ {2}ok +${check} `, 'm'));
    expect(stdout).toContain('The gateway takes it: person demo/jane, groups ml-eng, pii-cleared, team none.');
  });

  it('says which check fails, and ends with 1', async () => {
    const token = await signed({ iss: provider.url, aud: 'other', sub: 'jane' }, { typ: 'at+jwt', kid: 'unknown' });
    const { code, stdout } = await inspect(['--config', config.file, token]);
    expect(code).toBe(1);
    for (const check of ['audience', 'dates', 'key']) expect(stdout).toMatch(new RegExp(`^ {2}FAIL +${check} `, 'm'));
    expect(stdout).toContain('The gateway refuses it: audience_wrong');
  });

  it('prints JSON for programs, without the signature', async () => {
    const token = await demoToken(provider.url, 'sam');
    const { stdout } = await inspect(['--json', '--config', config.file, token]);
    expect(JSON.parse(stdout)).toMatchObject({
      header: { alg: 'ES256' },
      claims: { sub: 'sam' },
      verdict: { ok: true, caller: { subject: 'sam' } },
      checks: expect.arrayContaining([expect.objectContaining({ name: 'signature', outcome: 'pass' })]),
    });
    expect(stdout).not.toContain(token.split('.')[2]);
  });

  it('checks the gateway’s own tokens with its published keys, and never sends them', async () => {
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await demoToken(provider.url, 'sam'),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    await fetch(`${gateway.url}/oauth/token`, { method: 'POST', body: form });
    const good = await inspect(['--gateway', gateway.url, gateway.issued.at(-1) ?? '']);
    expect([good.code, good.stdout]).toEqual([0, expect.stringMatching(/ok +signature/)]);
    gateway.lifetimeSeconds = -5;
    await fetch(`${gateway.url}/oauth/token`, { method: 'POST', body: form });
    const old = await inspect(['--gateway', gateway.url, gateway.issued.at(-1) ?? '']);
    expect([old.code, old.stdout]).toEqual([
      1,
      expect.stringMatching(
        /FAIL +dates +It has expired[\s\S]*The gateway refuses it: token_expired \(docs\/errors\.md\)/,
      ),
    ]);
    const forged = await inspect([
      '--gateway',
      gateway.url,
      await signed({ iss: gateway.url, sub: 'x' }, { typ: 'at+jwt' }),
    ]);
    expect([forged.code, forged.stdout]).toEqual([
      1,
      expect.stringMatching(/FAIL +signature[\s\S]*The gateway refuses it: token_invalid \(/),
    ]);
  });

  it('says that it cannot check when the gateway is down, or did not issue it', async () => {
    const token = await signed({ iss: 'http://127.0.0.1:9', sub: 'x' });
    const down = await inspect(['--gateway', 'http://127.0.0.1:9', token]);
    expect(down.stdout).toContain('it cannot be checked. The gateway cannot be reached');
    const other = await inspect(['--gateway', gateway.url, token]);
    expect(other.stdout).toContain('did not issue it');
  });
});
