/** The OpenAI snippets of docs/identity.md through the real gateway and Envoy, with a sign-in that `sallyport token` renews. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDemoModel } from '../../src/commands/demo/model.ts';
import type { DemoServer } from '../../src/commands/demo/provider.ts';
import { loginCommand } from '../../src/commands/login.ts';
import { signInAs } from '../support/login/browser.ts';
import { run } from '../unit/commands/run.ts';
import { drivers, furnish, pythonPath, snippet, snippetEnv, startSnippet } from './support/snippets.ts';
import { freePort, type Stack, startStack } from './support/stack.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-snippets-gateway-'));
let model: DemoServer;
let stack: Stack;
let gateway: string;

beforeAll(async () => {
  model = await startDemoModel({ port: 0, credential: 'model-secret' });
  const port = await freePort();
  gateway = `http://127.0.0.1:${port}`;
  stack = await startStack({
    modelPort: Number(new URL(model.url).port),
    config: {
      publicUrl: gateway,
      listen: { grpc: 'unix:gate.sock', public: `127.0.0.1:${port}`, internal: '127.0.0.1:0' },
    },
  });
  furnish(folder);
  const env = snippetEnv(folder, gateway);
  const signedIn = await run([loginCommand((url) => signInAs(url, 'jane'))], ['login'], { env });
  expect(signedIn).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await stack.close();
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Tokens given and requests answered, in the order in which they are on the record. */
async function events(): Promise<unknown[]> {
  const lines = (await stack.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
  return lines
    .filter(({ type }) => type === 'credential' || type === 'request')
    .map(({ type, action, caller }) => ({ type, action, caller }));
}
const caller = expect.objectContaining({ provider: 'demo', subject: 'jane' });
const request = { type: 'request', action: undefined, caller };
const issued = { type: 'credential', action: 'issued', caller };

/** The kept token looks as if it had expired. */
function expire(): void {
  const file = join(folder, 'sallyport', 'credentials.json');
  const kept = JSON.parse(readFileSync(file, 'utf8'));
  kept.gateways[gateway].expiresAtMs = Date.now();
  writeFileSync(file, JSON.stringify(kept));
}

describe('a snippet of docs/identity.md, at the real gateway,', () => {
  for (const [name, driver] of [
    ['openai-app.ts', drivers.openaiTs],
    ['openai_app.py', drivers.openaiPython],
  ] as const)
    test.skipIf(name.endsWith('.py') && pythonPath === undefined)(
      `${name} is answered, and with a new token once its token has expired`,
      async () => {
        const before = (await events()).length;
        const env = snippetEnv(folder, gateway);
        const { ask, child } = startSnippet(folder, name, snippet(name, stack.url), driver, env);
        expect(await ask()).toBe('ok');
        expire();
        expect(await ask()).toBe('ok');
        child.kill();
        expect((await events()).slice(before)).toEqual([request, issued, request]);
      },
    );
});
