/** The OAuth routes over everything that is behind them, but for Envoy, the journal's disk and a SAML identity provider. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JWTPayload } from 'jose';
import { onTestFinished, vi } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config.ts';
import type { Revoker } from '../../../src/console/admin.ts';
import { createOauthApp } from '../../../src/console/oauth.ts';
import { createPublicApp } from '../../../src/console/public.ts';
import { oauthSources, revokerOf } from '../../../src/gateway/credentials.ts';
import { openIdentity } from '../../../src/gateway/identity.ts';
import type { Caller, Identification } from '../../../src/identity/caller.ts';
import type { SamlProvider } from '../../../src/identity/saml/saml.ts';
import { createLog } from '../../../src/observe/log.ts';
import type { CredentialEvent, RecordEvent, Recorder } from '../../../src/record/events.ts';
import { JournalUnavailable } from '../../../src/record/unavailable.ts';
import { Clock, State } from '../identity/issued/replicas.ts';
import { makeKey, TestProvider, tokenOf } from '../identity/provider.ts';

export const publicUrl = 'https://gate.example';
export const audience = 'https://gateway.test';
/** What a request line shows of a real connection. */
const connection = { incoming: { socket: { remoteAddress: '192.0.2.7' } } };

/** A record in memory, which can be cut. */
export class MemoryRecord implements Recorder {
  readonly writer = 'memory';
  state: Recorder['state'] = 'open';
  readonly events: RecordEvent[] = [];
  /** How many were there when `durable` was last awaited. */
  durableEvents = 0;
  event(event: RecordEvent): number {
    if (this.state !== 'open') throw new JournalUnavailable('journal_failed');
    return this.events.push(event) - 1;
  }
  content(): void {}
  async written(): Promise<void> {}
  async durable(): Promise<void> {
    if (this.state !== 'open') throw new JournalUnavailable('journal_failed');
    this.durableEvents = this.events.length;
  }
  get credentials(): CredentialEvent[] {
    return this.events.filter((event) => event.type === 'credential');
  }
}

/** Somebody who says whatever the test wants, as SAML providers are asked. */
export class SaidSaml implements SamlProvider {
  readonly name = 'sso';
  readonly begun: string[] = [];
  answer: Identification;
  constructor(answer: Identification) {
    this.answer = answer;
  }
  metadata = (): string => '<EntityDescriptor/>';
  check = async (): Promise<undefined> => undefined;
  begin = async (relayState: string) => {
    this.begun.push(relayState);
    return { url: `https://sso.example/login?RelayState=${relayState}`, requestId: `_${relayState}` };
  };
  finish = async (samlResponse: string, requestId: string): Promise<Identification> =>
    samlResponse === 'Z29vZA==' && this.begun.includes(requestId.slice(1))
      ? this.answer
      : { ok: false, reason: 'token_invalid', detail: 'the signature <b>is</b> bad' };
  bearer = async (assertion: string): Promise<Identification> =>
    assertion === 'Z29vZA' ? this.answer : { ok: false, reason: 'token_expired', detail: 'NotOnOrAfter is past' };
}

export async function startOauth(identitySections: object = {}) {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 15, 12) });
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-oauth-'));
  const key = await makeKey('k1');
  const idp = await TestProvider.start(key);
  const file = join(dir, 'sallyport.yaml');
  writeFileSync(join(dir, 'login-secret'), 'not-so-secret\n');
  writeFileSync(
    file,
    stringify({
      publicUrl,
      modelsUrl: 'https://models.example',
      identity: {
        providers: [
          {
            name: 'corp',
            issuer: idp.issuer,
            audience,
            algorithms: ['ES256'],
            login: {
              clientId: 'cli',
              clientSecret: { file: 'login-secret' },
              resource: 'https://api.example',
              exchange: 'id_token',
            },
          },
        ],
        teams: [{ name: 'ml-platform', groups: ['ml-eng'] }],
        ...identitySections,
      },
    }),
  );
  const loaded = loadConfig(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const config = { ...loaded.config, stateDir: dir };
  const clock = new Clock();
  Object.defineProperty(clock, 'now', { value: () => Date.now() });
  const state = new State(join(dir, 'control.db'), clock);
  const log = createLog({ level: 'silent', target: process.stderr });
  const identity = await openIdentity(config, { state, environment: {}, log, models: [], now: () => Date.now() });
  const record = new MemoryRecord();
  const needs = { config, identity, recorder: record, maskText: (text: string) => text, log };
  const caller: Caller = Object.freeze({
    provider: 'corp',
    issuer: idp.issuer,
    subject: 'ada',
    kind: 'person',
    email: undefined,
    groups: ['ml-eng'],
    team: 'ml-platform',
    claims: { name: 'Ada' },
    proof: 'saml',
    tokenId: '_assertion',
    issuedAtMs: Date.now() - 1000,
    expiresAtMs: Date.now() + 3_600_000,
  });
  const saml = new SaidSaml({ ok: true, caller });
  /** What was logged. */
  const failures: unknown[] = [];
  const sources = {
    ...oauthSources(needs),
    saml: new Map([[saml.name, saml]]),
    assertion: (assertion: string) => saml.bearer(assertion),
    failed: (_: string, error: unknown) => void failures.push(error),
  };
  const app = createPublicApp({ version: '1.0.0', publicUrl }, createOauthApp(sources));
  onTestFinished(async () => {
    await identity.close();
    await idp.stop();
    rmSync(dir, { recursive: true, force: true });
    vi.useRealTimers();
  });
  const revoker: Revoker = revokerOf(needs);
  return {
    ...{ app, idp, key, identity, record, state, saml, caller, revoker, sources, failures },
    /** A token of the provider; `undefined` in `claims` takes one away. */
    token: (claims: JWTPayload = {}, header: Record<string, unknown> = {}) => {
      const iat = Math.floor(Date.now() / 1000) - 10;
      return tokenOf(idp, { key, header, claims: { iat, exp: iat + 600, aud: audience, ...claims } });
    },
    get: (path: string, headers: Record<string, string> = {}) => app.request(path, { headers }, connection),
    post: (path: string, form: Record<string, string> | string, headers: Record<string, string> = {}) =>
      app.request(
        path,
        {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
          body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
        },
        connection,
      ),
    pass: (ms: number) => vi.setSystemTime(Date.now() + ms),
  };
}

export type Gateway = Awaited<ReturnType<typeof startOauth>>;

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const bearerGrant = 'urn:ietf:params:oauth:grant-type:saml2-bearer';
export const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

export const exchangeForm = (subject: string, more: Record<string, string> = {}) => ({
  grant_type: exchangeGrant,
  subject_token: subject,
  subject_token_type: tokenType('access_token'),
  ...more,
});

interface TokenAnswer {
  readonly access_token: string;
  readonly expires_in: number;
  readonly error: string;
  readonly error_description: string;
}
export const jsonOf = async (response: Response) => (await response.json()) as TokenAnswer & Record<string, unknown>;

/** Exchanges a good token. */
export async function issued(gateway: Gateway): Promise<string> {
  return (await jsonOf(await gateway.post('/oauth/token', exchangeForm(await gateway.token())))).access_token;
}
