/**
 * attacks.md, "Tokens (JWT)", through the real Envoy and gateway: each is refused with a clear error that says nothing of how
 * it was found out, stands on the record with the reason, and never reaches the model.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { type Attempts, attempts, EVERY_REFUSAL, type Refusal } from './support/attempts.ts';
import { type RawAnswer, rawRequest } from './support/raw.ts';
import { ALLOWED, ATTACKS, AUDIENCE, type Forge, SUBJECT, startForge } from './support/tokens.ts';

const BODY = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}';

let forge: Forge;
let stack: Stack;
let attempt: Attempts;
beforeAll(async () => {
  forge = await startForge();
  const each = { audience: AUDIENCE, algorithms: ['ES256', 'RS256'] };
  stack = await startStack({
    config: EVERY_REFUSAL,
    providers: [
      { name: 'corp', issuer: forge.provider.issuer, ...each },
      { name: 'partner', issuer: forge.lenient.issuer, tokenType: 'JWT', ...each },
      { name: 'down', issuer: forge.down.issuer, ...each },
    ],
  });
  attempt = attempts(stack);
});
afterAll(async () => {
  await stack.close();
  await Promise.all([forge.provider.stop(), forge.lenient.stop(), forge.down.stop()]);
});

const call = (token: string, ...headers: readonly string[]): Buffer => rawRequest(token, { body: BODY, headers });

/** What the caller of a refused token is told, all that may differ taken out: one text a code, whatever the reason was. */
const told = new Map<string, string>();

async function refused(
  refusal: Refusal & { readonly detail: string },
  ...parts: readonly Buffer[]
): Promise<RawAnswer> {
  const answer = await attempt.refused(refusal, ...parts);
  const challenge = answer.headers.get('www-authenticate') ?? '';
  const session = answer.headers.get('x-sallyport-session') ?? '';
  expect(session).toMatch(/^[0-9a-f-]{36}$/);
  expect(answer.body).toContain(session);
  const text = `${challenge}\n${answer.body}`.replaceAll(session, '');
  for (const secret of [refusal.detail, SUBJECT, AUDIENCE, forge.provider.issuer]) expect(text).not.toContain(secret);
  expect(text).toBe(told.get(refusal.code ?? '') ?? text);
  told.set(refusal.code ?? '', text);
  return answer;
}

async function goodTokenPasses(): Promise<void> {
  const arrived = await attempt.passes(call(await forge.token()));
  expect(arrived.headers['x-sallyport-caller']).toBe(`corp/${SUBJECT}`);
}

test('the token that every attack here is made from passes', goodTokenPasses);

describe('a token is refused at the gate, is on the record and not at the model, with', () => {
  test.each(ATTACKS)('%s', async (_name, make, code, detail) => {
    const token = await make(forge);
    const answer = await refused({ status: 401, code, detail }, call(token));
    const error = code === 'credentials_conflict' ? 'invalid_request' : 'invalid_token';
    expect(answer.headers.get('www-authenticate')).toContain(`Bearer realm="sallyport", error="${error}"`);
    for (const part of token.split('.').filter(({ length }) => length > 12))
      expect(answer.received).not.toContain(part);
  });

  test('a length of 1 MB: Envoy takes no headers of more than 60 KiB and ends the connection', async () => {
    const detail = 'http1.headers_too_large';
    await attempt.refused({ status: 0, detail }, call('a'.repeat(1_000_000)));
    const events = (await stack.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    expect(events.at(-1)).toMatchObject({ type: 'refused', status: 431, detail });
  });

  test('another Authorization header beside it, even the same', async () => {
    const token = await forge.token();
    const refusal = { status: 401, code: 'credentials_conflict', detail: 'a comma in authorization' };
    for (const second of [token, await forge.token({ claims: { sub: 'other' } })])
      await refused(refusal, call(token, `Authorization: Bearer ${second}`));
  });

  test('a provider whose keys cannot be fetched: 503, for it may pass later', async () => {
    const detail = 'no signing keys of down';
    const answer = await refused(
      { status: 503, code: 'keys_unavailable', detail },
      call(await forge.token({ from: forge.down })),
    );
    expect(answer.headers.get('www-authenticate')).toBeUndefined();
  });
});

test('keys that a token names are never fetched', () => {
  expect(forge.provider.requests).not.toContain('/evil');
});

describe('what is no attack passes:', () => {
  test.each(ALLOWED)('%s', async (_name, make) => {
    await attempt.passes(call(await make(forge)));
  });

  test('two issuers with the same sub, who are two callers', async () => {
    const theirs = await attempt.passes(call(await forge.token({ from: forge.lenient })));
    expect(theirs.headers['x-sallyport-caller']).toBe(`partner/${SUBJECT}`);
    await goodTokenPasses();
  });
});

test('the good token passes also after all the attacks', goodTokenPasses);
