/** The snippets of docs/identity.md, run as they stand there: a token expires between two requests, and the second brings a new one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type DemoServer, startDemoProvider } from '../../src/commands/demo/provider.ts';
import { openCredentials } from '../../src/commands/login/credentials.ts';
import { freshToken } from '../../src/commands/login/fresh.ts';
import { loginCommand } from '../../src/commands/login.ts';
import { startProxy } from '../../src/commands/proxy/server.ts';
import { signInAs } from '../support/login/browser.ts';
import { startTestGateway, type TestGateway } from '../support/login/gateway.ts';
import { startTestModels, type TestModels } from '../support/login/models.ts';
import { run } from '../unit/commands/run.ts';
import { blocks } from '../unit/docs/markdown.ts';
import { drivers, furnish, pythonPath, snippet, snippetEnv, startSnippet } from './support/snippets.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-snippets-'));
const credentialsFile = join(folder, 'sallyport', 'credentials.json');
let provider: DemoServer;
let gateway: TestGateway;
let models: TestModels;
let app: ChildProcess | undefined;

beforeAll(async () => {
  provider = await startDemoProvider({ port: 0, stateDir: join(folder, 'idp') });
  const scopes = ['openid', 'email', 'profile', 'offline_access'];
  gateway = await startTestGateway([
    { name: 'demo', kind: 'oidc', issuer: provider.url, client_id: 'sallyport-cli', scopes },
  ]);
  furnish(folder);
  const signedIn = await run([loginCommand((url) => signInAs(url, 'jane'))], ['login'], { env: env() });
  expect([signedIn.code, signedIn.stderr]).toEqual([0, expect.any(String)]);
});
beforeEach(async () => {
  models = await startTestModels((token) => gateway.issued.includes(token));
});
afterEach(async () => {
  app?.kill();
  app = undefined;
  await models.close();
});
afterAll(async () => {
  await gateway.close();
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

const env = () => snippetEnv(folder, gateway.url);

/** The kept token has expired: here, and for the models. */
function expire(): void {
  const file = JSON.parse(readFileSync(credentialsFile, 'utf8'));
  const entry = file.gateways[gateway.url];
  models.expired.add(entry.token);
  writeFileSync(
    credentialsFile,
    JSON.stringify({ ...file, gateways: { [gateway.url]: { ...entry, expiresAtMs: Date.now() } } }),
  );
}

const text = (name: string) => snippet(name, models.url);
function start(name: string, driver: string, change = (content: string) => content): () => Promise<string> {
  const { child, ask } = startSnippet(folder, name, change(text(name)), driver, env());
  app = child;
  return ask;
}

const apps = [
  ['openai-app.ts', drivers.openaiTs],
  ['anthropic-app.ts', drivers.anthropicTs],
  ['openai_app.py', drivers.openaiPython],
  ['anthropic_app.py', drivers.anthropicPython],
] as const;

describe('a snippet of docs/identity.md', () => {
  // `npm test` says why there is no Python.
  for (const [name, driver] of apps)
    test.skipIf(name.endsWith('.py') && pythonPath === undefined)(
      `${name} sends a new token once its token has expired`,
      async () => {
        const ask = start(name, driver);
        expect(await ask()).toBe('ok');
        const before = gateway.issued.at(-1);
        expect(models.seen).toEqual([`authorization: Bearer ${before}`]);
        expire();
        expect(await ask()).toBe('ok');
        const after = gateway.issued.at(-1);
        expect(after).not.toBe(before);
        expect(models.seen.at(-1)).toBe(`authorization: Bearer ${after}`);
      },
    );

  test('in-cluster-app.ts reads the token file for each request', async () => {
    const file = join(folder, 'service-token');
    const moved = (content: string) => content.replace('/var/run/secrets/sallyport/token', file);
    gateway.issued.push('first', 'second');
    const ask = start('in-cluster-app.ts', drivers.openaiTs, moved);
    for (const token of ['first', 'second']) {
      writeFileSync(file, `${token}\n`);
      expect([await ask(), models.seen.at(-1)]).toEqual(['ok', `authorization: Bearer ${token}`]);
    }
    gateway.issued.splice(-2);
  });

  test('the settings of Claude Code name a helper that prints a token which outlives its TTL', () => {
    const block = blocks('docs/identity.md').find(({ text }) => text.includes('apiKeyHelper'));
    const settings = JSON.parse(block?.text ?? '') as { apiKeyHelper: string; env: Record<string, string> };
    const { stdout, status } = spawnSync('/bin/sh', ['-c', settings.apiKeyHelper], { env: env(), encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, `${gateway.issued.at(-1)}\n`]);
    const minutes = Number(/--min-validity (\d+)m/.exec(settings.apiKeyHelper)?.[1]);
    expect(minutes * 60_000).toBeGreaterThan(Number(settings.env['CLAUDE_CODE_API_KEY_HELPER_TTL_MS']));
  });

  test('the line of curl calls with a token', async () => {
    const line = blocks('docs/identity.md').find(
      ({ text }) => text.startsWith('curl ') && text.includes('$(sallyport token)'),
    );
    const script = line?.text.replace('https://models.example.com', models.url) ?? '';
    const child = spawn('/bin/sh', ['-c', script], { env: env(), stdio: ['ignore', 'pipe', 'inherit'] });
    expect(JSON.parse(await readAll(child.stdout))).toMatchObject({ object: 'list' });
  });

  test('the Anthropic SDK is served by the local proxy with a fixed key', async () => {
    const key = `sk-sallyport-local-${'a'.repeat(43)}`;
    const credentials = openCredentials(join(folder, 'sallyport'));
    const token = async () => (await freshToken({ credentials, gateway: gateway.url, minValidityMs: 60_000 })).token;
    const proxy = await startProxy({ port: 0, key, modelsUrl: models.url, token, say: () => {} });
    const hello = { model: 'demo', max_tokens: 5, messages: [{ role: 'user' as const, content: 'Hi' }] };
    for (const secret of [{ authToken: key }, { apiKey: key }]) {
      const client = new Anthropic({ baseURL: proxy.url, maxRetries: 0, ...secret });
      expect((await client.messages.create(hello)).content).toEqual([{ type: 'text', text: 'Hi' }]);
    }
    expect(models.seen.join()).not.toContain(key);
    await proxy.close();
  });

  const hasJq = spawnSync('jq', ['--version']).status === 0;
  test.skipIf(!hasJq)('the job of GitHub Actions asks for a token of our audience, and calls with it', async () => {
    const asked: (string | undefined)[] = [];
    const github = createServer((request, response) => {
      asked.push(request.url, request.headers.authorization);
      response.end(JSON.stringify({ value: 'job-token' }));
    }).listen(0, '127.0.0.1');
    await once(github, 'listening');
    const workflow = parse(text('workflow.yaml')) as { jobs: { ask: { steps: { run: string }[] } } };
    gateway.issued.push('job-token');
    const child = spawn('/bin/sh', ['-c', workflow.jobs.ask.steps[0]?.run ?? ''], {
      env: {
        ...env(),
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
        ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(github.address() as AddressInfo).port}/token?x=1`,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child, 'close');
    github.close();
    gateway.issued.pop();
    expect(asked).toEqual(['/token?x=1&audience=sallyport', 'Bearer request-token']);
    expect(models.seen).toEqual(['authorization: Bearer job-token']);
  });
});
