/** The command line against the real gateway, behind real Envoy, with the demo's provider. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { decodeJwt } from 'jose';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AddCommand, runCli } from '../../src/commands/cli.ts';
import { startDemoModel } from '../../src/commands/demo/model.ts';
import type { DemoServer } from '../../src/commands/demo/provider.ts';
import { inspectTokenCommand } from '../../src/commands/inspect-token.ts';
import type { OpenBrowser } from '../../src/commands/login/browser.ts';
import { openCredentials } from '../../src/commands/login/credentials.ts';
import { freshToken } from '../../src/commands/login/fresh.ts';
import { loginCommand } from '../../src/commands/login.ts';
import { logoutCommand } from '../../src/commands/logout.ts';
import { startProxy } from '../../src/commands/proxy/server.ts';
import { revokeCommand } from '../../src/commands/revoke.ts';
import { tokenCommand } from '../../src/commands/token.ts';
import { whoamiCommand } from '../../src/commands/whoami.ts';
import { Browser, enterCode, signInAs } from '../support/login/browser.ts';
import { startSamlIdp } from '../support/saml-idp.ts';
import { run } from '../unit/commands/run.ts';
import { eventually, freePort, type Stack, startStack } from './support/stack.ts';

let stack: Stack;
let model: DemoServer;
let gateway: string;
const home = mkdtempSync(join(tmpdir(), 'sallyport-cli-login-'));
const file = join(home, 'sallyport', 'credentials.json');
const kept = () => JSON.parse(readFileSync(file, 'utf8')).gateways[gateway];

/** The kept token looks as if it had expired. */
function expire(): void {
  const credentials = JSON.parse(readFileSync(file, 'utf8'));
  credentials.gateways[gateway].expiresAtMs = Date.now();
  writeFileSync(file, JSON.stringify(credentials));
}

beforeAll(async () => {
  model = await startDemoModel({ port: 0, credential: 'model-secret' });
  const [port, envoyPort] = [await freePort(), await freePort()];
  gateway = `http://127.0.0.1:${port}`;
  stack = await startStack({
    envoyPort,
    modelPort: Number(new URL(model.url).port),
    // A revocation reaches as far ahead as the leeway: renewing works again at once.
    provider: { leewaySeconds: 0 },
    config: {
      publicUrl: gateway,
      modelsUrl: `http://127.0.0.1:${envoyPort}`,
      listen: { grpc: 'unix:gate.sock', public: `127.0.0.1:${port}`, internal: '127.0.0.1:0' },
    },
  });
});
afterAll(async () => {
  await stack.close();
  await model.close();
  rmSync(home, { recursive: true });
});

async function cli(
  args: readonly string[],
  more: { stdin?: string; onError?: (text: string, all: string) => void; open?: OpenBrowser } = {},
) {
  let [stdout, stderr] = ['', ''];
  const open = more.open ?? ((url: string) => signInAs(url, 'jane'));
  const table: AddCommand[] = [loginCommand(open), tokenCommand, whoamiCommand, logoutCommand, inspectTokenCommand];
  const write = (text: string) => {
    stderr += text;
    more.onError?.(text, stderr);
  };
  const io = {
    ...(more.stdin === undefined ? {} : { stdin: Readable.from([more.stdin]) }),
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write },
    env: { XDG_CONFIG_HOME: home, SALLYPORT_GATEWAY: gateway },
    user: 'ann',
  };
  return { code: await runCli(table, args, io, '1'), stdout, stderr };
}

const ask = async (token: string, url = stack.url): Promise<number> => {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] }),
  });
  await response.arrayBuffer();
  return response.status;
};

describe('sallyport login', () => {
  test('in the browser gives a token that the gate takes, as the one who signed in', async () => {
    const { code, stdout, stderr } = await cli(['login']);
    expect([code, stderr.includes('nothing to renew')]).toEqual([0, false]);
    expect(stdout).toMatch(
      /You are +demo\/jane\nKind +person\nE-mail +jane@example\.com\nGroups +ml-eng, pii-cleared\n/,
    );
    const { stdout: token } = await cli(['token']);
    expect(decodeJwt(token.trim())).toMatchObject({ iss: gateway });
    expect(await ask(token.trim())).toBe(200);
  });

  test('by device code gives one, too', async () => {
    const { code, stdout } = await cli(['login', '--device'], {
      onError: (text, all) => {
        const userCode = /enter the code {2}(\S+)/.exec(text)?.[1];
        if (userCode !== undefined) void enterCode(/^ {2}(http\S+)$/m.exec(all)?.[1] ?? '', userCode, 'sam');
      },
    });
    expect([code, /You are +demo\/sam\n/.test(stdout)]).toEqual([0, true]);
  });

  test('is renewed with the provider’s refresh token, time after time', async () => {
    await cli(['login']);
    const seen = new Set<string>();
    for (let round = 0; round < 3; round++) {
      expire();
      const { code, stdout } = await cli(['token']);
      expect([code, await ask(stdout.trim())]).toEqual([0, 200]);
      seen.add(stdout).add(kept().refreshToken);
    }
    expect(seen.size).toBe(6);
  });

  test('whoami --json says what the gate knows', async () => {
    const { stdout } = await cli(['whoami', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ provider: 'demo', subject: 'jane', kind: 'person' });
  });
});

describe('sallyport inspect-token', () => {
  test('verifies a token of the gateway with the keys that it publishes, and never prints its signature', async () => {
    const token = kept().token as string;
    const { code, stdout } = await cli(['inspect-token', '-'], { stdin: `Authorization: Bearer ${token}\n` });
    expect(stdout).not.toContain(token.split('.')[2]);
    expect(stdout).toMatch(/ok +signature +The gateway's own key signed it\./);
    expect(code).toBe(0);
    const [header, claims] = token.split('.');
    const forged = `${header}.${claims}.${Buffer.alloc(64, 7).toString('base64url')}`;
    const refused = await cli(['inspect-token'], { stdin: forged });
    expect([refused.code, refused.stdout]).toEqual([
      1,
      expect.stringMatching(/FAIL +signature +The signature does not hold/),
    ]);
  });

  test('runs the gate’s checks on a provider’s token with the configuration at hand', async () => {
    const token = await stack.token('sam');
    const { code, stdout } = await cli(['inspect-token', '--config', stack.config.file, token]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ok +signature/);
    expect(stdout).toContain('The gateway takes it: person demo/sam, groups contractors, team none.');
    expect(stdout).not.toContain(token.split('.')[2]);
  });
});

describe('sallyport token --subject-token-file', () => {
  test('exchanges a token file at the gateway', async () => {
    const path = join(home, 'service-token');
    writeFileSync(path, await stack.token('sam'));
    const { code, stdout } = await cli(['token', '--subject-token-file', path]);
    expect([code, await ask(stdout.trim())]).toEqual([0, 200]);
  });

  test('says why one is not taken', async () => {
    const path = join(home, 'foreign-token');
    const [header, claims] = (await stack.token('sam')).split('.');
    writeFileSync(path, `${header}.${claims}.${Buffer.alloc(64, 7).toString('base64url')}`);
    const { code, stdout, stderr } = await cli(['token', '--subject-token-file', path]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/The gateway said no \(invalid_request: /);
  });
});

describe('sallyport proxy', () => {
  const key = `sk-sallyport-local-${'a'.repeat(43)}`;
  const minValidityMs = 60_000;

  test('serves the OpenAI SDK with a fixed key, streams included, and takes no other key', async () => {
    const credentials = openCredentials(join(home, 'sallyport'));
    const token = async (refused?: string) =>
      (await freshToken({ credentials, gateway, minValidityMs, ...(refused && { refused }) })).token;
    const proxy = await startProxy({ port: 0, key, modelsUrl: stack.url, token, say: () => {} });
    const client = new OpenAI({ baseURL: `${proxy.url}/v1`, apiKey: key, maxRetries: 0 });
    const question = { model: 'demo', messages: [{ role: 'user' as const, content: 'Hello' }] };
    expect((await client.chat.completions.create(question)).choices[0]?.message.content).toEqual(expect.any(String));
    let events = 0;
    for await (const _ of await client.chat.completions.create({ ...question, stream: true })) events++;
    expect(events).toBeGreaterThan(1);
    const stranger = new OpenAI({ baseURL: `${proxy.url}/v1`, apiKey: 'sk-other', maxRetries: 0 });
    await expect(stranger.chat.completions.create(question)).rejects.toMatchObject({ status: 401, code: 'key_wrong' });
    await proxy.close();
  });
});

describe('sallyport revoke --subject, of somebody who can renew at the provider', () => {
  const revoke = () => run([revokeCommand], ['revoke', '--config', stack.config.file, '--subject', 'demo/sam']);

  test('refuses what they hold; their renewal brings a token that is taken, which it says', async () => {
    await cli(['login'], { open: (url) => signInAs(url, 'sam') });
    const { token } = kept();
    const upstream = await stack.token('sam');
    expect([await ask(token), await ask(upstream)]).toEqual([200, 200]);
    expect(await revoke()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /Whoever can still renew there \(a refresh token[\s\S]*gets new tokens without a\spassword/,
      ),
    });
    expect([await ask(token), await ask(upstream)]).toEqual([401, 401]);
    expect(await cli(['whoami'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /The gateway refuses this token \(token_revoked\): .*\n {2}→ Run `sallyport login`/,
      ),
    });
    // It does not ask the gateway, as its help says.
    expect(await cli(['token'])).toMatchObject({ code: 0, stdout: `${token}\n` });
    // Nobody signs in. A token of the second in which it was said is from before, in whole seconds, and is still refused.
    const renewed = await eventually(async () => {
      expire();
      const { code, stdout } = await cli(['token']);
      return code === 0 ? stdout.trim() : undefined;
    }, 'the renewal brings a token of the next second');
    expect([await ask(renewed), await ask(token)]).toEqual([200, 401]);
  });

  test('keeps them out once the renewal is ended at the provider, too', async () => {
    const { refreshToken } = kept();
    const form = new URLSearchParams({ token: refreshToken, client_id: 'sallyport-cli' });
    const issuer = stack.config.identity.providers[0]?.issuer;
    expect((await fetch(`${issuer}/token/revocation`, { method: 'POST', body: form })).status).toBe(200);
    expect((await revoke()).code).toBe(0);
    expire();
    expect(await cli(['token'])).toMatchObject({ code: 1, stderr: expect.stringContaining('renews it no more') });
    await cli(['login']);
  });
});

describe('sallyport logout', () => {
  test('takes the token back: the gate refuses it from then on', async () => {
    const { token } = kept();
    expect(await ask(token)).toBe(200);
    expect(await cli(['logout'])).toMatchObject({ code: 0, stdout: `Signed out of ${gateway}.\n` });
    expect(await ask(token)).toBe(401);
    expect((await cli(['token'])).stderr).toContain('You are not signed in');
  });
});

describe('sallyport login by SAML', () => {
  test('leads through the gateway to the identity provider and back, and gives a token that the gate takes', async () => {
    const idp = await startSamlIdp({
      people: { ada: { nameId: 'ada-1', attributes: { email: ['ada@corp.test'], groups: ['ml-eng'] } } },
    });
    const port = await freePort();
    const publicUrl = `http://127.0.0.1:${port}`;
    const saml = await startStack({
      config: {
        publicUrl,
        listen: { grpc: 'unix:gate.sock', public: `127.0.0.1:${port}`, internal: '127.0.0.1:0' },
        identity: { saml: [{ name: 'sso', entityId: idp.entityId, idp: { metadataUrl: idp.metadataUrl } }] },
      },
    });
    let question = '';
    const open = async (url: string) => {
      const browser = new Browser();
      const page = await browser.submit(await browser.open(url), {});
      question = page.text;
      await browser.submit(page, {});
    };
    const args = ['--gateway', publicUrl];
    const { code, stdout, stderr } = await cli(['login', ...args], { open });
    expect([code, stderr.includes('nothing to renew it with')]).toEqual([0, true]);
    const [, signInCode = 'none'] = /The page must show the code (\S+)/.exec(stderr) ?? [];
    expect(signInCode).toMatch(/^[2-9A-Z]{4}-[2-9A-Z]{4}$/);
    expect(question).toContain(`<code>${signInCode}</code>`);
    expect(stdout).toMatch(/You are +sso\/ada-1\nKind +person\nE-mail +ada@corp\.test\nGroups +ml-eng\n/);
    const { stdout: token } = await cli(['token', ...args]);
    expect(await ask(token.trim(), saml.url)).toBe(200);
    await saml.close();
    await idp.close();
  });
});
