/** A real provider, a gateway and a home of its own for each test of the command line's sign-in. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type DemoServer, startDemoProvider } from '../../../../src/commands/demo/provider.ts';
import { loginCommand } from '../../../../src/commands/login.ts';
import { logoutCommand } from '../../../../src/commands/logout.ts';
import { tokenCommand } from '../../../../src/commands/token.ts';
import { whoamiCommand } from '../../../../src/commands/whoami.ts';
import type { Page } from '../../../support/login/browser.ts';
import { startTestGateway, type TestGateway } from '../../../support/login/gateway.ts';
import { run } from '../run.ts';

export const root = join(import.meta.dirname, '..', '..', '..', '..');
export const folder = mkdtempSync(join(tmpdir(), 'sallyport-login-'));
export let provider: DemoServer;
export let gateway: TestGateway;
/** The config folder of this test: another one each time. */
export let home: string;
let homes = 0;

const scopes = ['openid', 'email', 'profile', 'offline_access'];
/** The demo's provider, as the gateway tells of it. */
export const demo = () => ({ name: 'demo', kind: 'oidc', issuer: provider.url, client_id: 'sallyport-cli', scopes });

beforeAll(async () => {
  provider = await startDemoProvider({ port: 0, stateDir: join(folder, 'idp') });
});
beforeEach(async () => {
  gateway = await startTestGateway([demo()]);
  home = join(folder, `home-${homes++}`);
});
afterEach(() => gateway.close());

/** Another gateway in place of the one that each test gets. */
export async function useGateway(providers: readonly Record<string, unknown>[], modelsUrl?: string): Promise<void> {
  await gateway.close();
  gateway = await startTestGateway(providers, modelsUrl);
}

afterAll(async () => {
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

export const env = () => ({
  XDG_CONFIG_HOME: home,
  SALLYPORT_GATEWAY: gateway.url,
  SALLYPORT_CONFIG: join(folder, 'none'),
});
export const credentialsFile = () => join(home, 'sallyport', 'credentials.json');
export const kept = () => JSON.parse(readFileSync(credentialsFile(), 'utf8')).gateways[gateway.url];

interface Signed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the browser was shown in the end. */
  readonly page: Page | undefined;
}

/** Runs `login` with a browser that does `visit` with the URL it is given. */
export async function login(
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

export const cli = (...args: string[]) => run([tokenCommand, whoamiCommand, logoutCommand], args, { env: env() });

/** Makes the kept token look as if it expired at that time. */
export function expire(atMs = Date.now()): void {
  const file = JSON.parse(readFileSync(credentialsFile(), 'utf8'));
  file.gateways[gateway.url].expiresAtMs = atMs;
  writeFileSync(credentialsFile(), JSON.stringify(file));
}
