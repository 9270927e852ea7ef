import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { revokeCommand } from '../../src/commands/revoke.ts';
import { run } from '../unit/commands/run.ts';
import { chat } from './support/ask.ts';
import { type Stack, startStack } from './support/stack.ts';

const modelAudience = 'https://model.example';
const publicUrl = 'https://gate.example';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ config: { publicUrl }, model: { identity: { audience: modelAudience } } });
});
afterAll(() => stack.close());

const oauth = (path: string, form: Record<string, string>) =>
  fetch(`${stack.gateway.addresses['public']}${path}`, { method: 'POST', body: new URLSearchParams(form) });

async function exchanged(): Promise<string> {
  const response = await oauth('/oauth/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await stack.token('jane'),
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { access_token: string }).access_token;
}

const call = (token: string, headers: Record<string, string> = {}) =>
  fetch(`${stack.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(chat),
  });

const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

describe('a token that the gateway issued', () => {
  test('is one to call models with, as the person who exchanged it, until it is given back', async () => {
    const token = await exchanged();
    expect((await call(token)).status).toBe(200);
    const events = (await stack.journal()).flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    expect(events.findLast(({ type }) => type === 'request')).toMatchObject({
      caller: { provider: 'demo', subject: 'jane', groups: expect.arrayContaining(['ml-eng']) },
    });
    expect(events.find(({ type }) => type === 'credential')).toMatchObject({
      action: 'issued',
      grant: 'token_exchange',
      tokenId: decodeJwt(token).jti,
      clientAddress: '127.0.0.1',
    });
    expect((await oauth('/oauth/revoke', { token })).status).toBe(200);
    const refused = await call(token);
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('invalid_token'),
    ]);
    expect(await codeOf(refused)).toBe('token_revoked');
  });

  test('is taken back with everything else of a subject, provider’s tokens too, by `sallyport revoke`', async () => {
    const [own, upstream] = [await exchanged(), await stack.token('jane')];
    expect((await call(own)).status).toBe(200);
    const revoked = await run([revokeCommand], ['revoke', '--config', stack.config.file, '--subject', 'demo/jane']);
    expect([revoked.code, revoked.stderr]).toEqual([0, '']);
    for (const token of [own, upstream]) expect(await codeOf(await call(token))).toBe('token_revoked');
    expect((await call(await stack.token('sam'))).status).toBe(200);
  });
});

test.each([
  ['--subject', 'demoo/jane', 'No identity provider of this name is configured'],
  ['--token-id', 'x', '22 characters of base64url'],
])('`sallyport revoke %s %s` takes nothing back', async (option, value, words) => {
  const before = (await stack.journal()).length;
  const { code, stdout, stderr } = await run([revokeCommand], ['revoke', '--config', stack.config.file, option, value]);
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(words)]);
  expect((await stack.journal()).length).toBe(before);
});

test('/readyz tells of the providers’ keys and of the control state', async () => {
  await call(await stack.token('sam'));
  const response = await fetch(`${stack.gateway.addresses['internal']}/readyz`);
  const { parts } = (await response.json()) as { parts: Record<string, object> };
  expect([response.status, parts['keys'], parts['state']]).toEqual([
    200,
    { ready: true, detail: 'of 1 provider(s)' },
    { ready: true, detail: 'SQLite' },
  ]);
});

describe('who calls, told to the model', () => {
  test('is signed by the gateway, for that model, and what the client sent does not arrive', async () => {
    const forged = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vL3Jvb3QifQ.';
    const response = await call(await stack.token('sam'), {
      'x-sallyport-identity': forged,
      'X-Sallyport-Caller': 'demo/root',
      'x-forwarded-user': 'root',
    });
    expect(response.status).toBe(200);
    const headers = stack.model.arrived.at(-1)?.headers ?? {};
    const jwks = (await (
      await fetch(`${stack.gateway.addresses['public']}/.well-known/jwks.json`)
    ).json()) as JSONWebKeySet;
    const { payload, protectedHeader } = await jwtVerify(
      String(headers['x-sallyport-identity']),
      createLocalJWKSet(jwks),
      {
        audience: modelAudience,
        issuer: publicUrl,
        typ: 'sallyport-identity+jwt',
      },
    );
    expect(payload).toMatchObject({ sub: 'demo/sam', provider: 'demo', subject: 'sam', kind: 'person' });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBeLessThanOrEqual(120);
    expect(protectedHeader.alg).toBe('ES256');
    expect([headers['x-sallyport-caller'], headers['x-forwarded-user']]).toEqual(['demo/sam', undefined]);
    expect(JSON.stringify(headers)).not.toContain(forged);
  });

  test('is no credential for the gateway', async () => {
    await call(await stack.token('sam'));
    const token = String(stack.model.arrived.at(-1)?.headers['x-sallyport-identity']);
    expect(await codeOf(await call(token))).toBe('token_invalid');
  });
});
