import { readFileSync } from 'node:fs';
import { createLocalJWKSet, importJWK, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { day, hour, issuerUrl, jane, minute, oneReplica, type Replica } from './replicas.ts';

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

/** Signs with the gateway's own key what the gateway would not. */
async function forge(from: Replica, header: Record<string, unknown>, claims: Record<string, unknown>): Promise<string> {
  const { keys } = JSON.parse(readFileSync(from.keyFile, 'utf8')) as { keys: { jwk: Record<string, string> }[] };
  const key = await importJWK({ ...keys[0]?.jwk }, 'ES256');
  const [{ kid } = { kid: '' }] = from.keys.jwks().keys as { kid: string }[];
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...header } as { alg: string })
    .sign(key);
}

describe('an issued token', () => {
  it('says who the caller is as the provider did, claims and time of vouching included', async () => {
    const { issuer, verify } = await oneReplica();
    const caller = jane();
    const { token, tokenId, expiresAtMs } = await issuer.issue(caller);
    expect(await verify(token)).toEqual({ ok: true, caller: { ...caller, proof: 'issued', tokenId, expiresAtMs } });
  });

  it('says nothing of an address or a team that the caller does not have', async () => {
    const { issuer, verify } = await oneReplica();
    const { token } = await issuer.issue(jane({ email: undefined, groups: [], team: undefined, kind: 'service' }));
    expect(await verify(token)).toMatchObject({
      ok: true,
      caller: { email: undefined, team: undefined, kind: 'service' },
    });
  });

  it('gets its team from the config of today', async () => {
    let team = 'before';
    const { issuer, verify } = await oneReplica({ teamOf: () => team });
    const { token } = await issuer.issue(jane());
    team = 'after';
    expect(await verify(token)).toMatchObject({ caller: { team: 'after' } });
  });

  it('is good for its lifetime, whatever the proof', async () => {
    const { issuer, clock, verify } = await oneReplica();
    const { token, expiresAtMs } = await issuer.issue(jane());
    expect(expiresAtMs).toBe(clock.ms + 15 * minute);
    clock.ms = expiresAtMs - 1;
    expect(await verify(token)).toMatchObject({ ok: true });
    clock.ms = expiresAtMs;
    expect(await verify(token)).toMatchObject({ ok: false, reason: 'token_expired' });
  });

  it.each([
    ['its own proof', 15 * minute, 4 * minute, 4 * minute],
    ['an hour, even if the config says so', 9 * hour, 10 * hour, hour],
  ])('is never good for longer than %s', async (_, lifetimeMs, proofMs, expectedMs) => {
    const { issuer, clock } = await oneReplica({ lifetimeMs });
    const { expiresAtMs } = await issuer.issue(jane({ expiresAtMs: clock.ms + proofMs }));
    expect(expiresAtMs).toBe(clock.ms + expectedMs);
  });

  it('is not issued for a proof that has expired', async () => {
    const { issuer, clock } = await oneReplica();
    await expect(issuer.issue(jane({ expiresAtMs: clock.ms + 900 }))).rejects.toThrow(RangeError);
  });

  it.each(['issued', 'peer', 'jwt_authn'] as const)(
    'is not issued for the proof %s: nobody lives for ever',
    async (proof) => {
      const { issuer } = await oneReplica();
      await expect(issuer.issue(jane({ proof }))).rejects.toThrow(TypeError);
    },
  );

  it('is of no use once its provider is not configured any more', async () => {
    let isKnown = true;
    const { issuer, verify } = await oneReplica({
      knows: (name, idp) => isKnown && name === 'corp' && idp === 'https://idp.example',
    });
    const { token } = await issuer.issue(jane());
    expect(await verify(token)).toMatchObject({ ok: true });
    isKnown = false;
    expect(await verify(token)).toMatchObject({ ok: false, reason: 'issuer_unknown' });
  });

  it.each([
    ['an algorithm of its own', { alg: 'none' }],
    ['another type', { typ: 'JWT' }],
    ['the type of an assertion', { typ: 'sallyport-identity+jwt' }],
    ['no type', { typ: undefined }],
    ['a type that is not a string', { typ: ['at+jwt'] }],
    ['an embedded key', { jwk: { kty: 'EC' } }],
    ['an address of keys', { jku: 'https://evil.example/keys' }],
    ['a critical extension', { crit: ['b64'], b64: true }],
  ])('is refused with %s in its header, though the gateway’s own key signed it', async (_, header) => {
    const one = await oneReplica();
    const { token } = await one.issuer.issue(jane());
    if ('alg' in header || 'crit' in header) {
      const forged = `${Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()), ...header })).toString('base64url')}.${token.split('.').slice(1).join('.')}`;
      expect(await one.verify(forged)).toMatchObject({ ok: false, reason: 'token_invalid' });
    } else
      expect(await one.verify(await forge(one, header, claimsOf(token)))).toMatchObject({
        ok: false,
        reason: 'token_invalid',
      });
  });

  it.each([
    ['another issuer', { iss: 'https://gate.example/' }, 'issuer_unknown'],
    ['another audience', { aud: 'https://model.example' }, 'audience_wrong'],
    ['a list of audiences', { aud: [issuerUrl] }, 'audience_wrong'],
    ['no expiry', { exp: undefined }, 'token_invalid'],
    ['an expiry in words', { exp: '1768479300' }, 'token_invalid'],
    ['an expiry without end', { exp: 1e308 }, 'token_invalid'],
    ['a life longer than an hour', { exp: 1_768_478_400 + 4000 }, 'token_invalid'],
    ['a time of issue in the future', { iat: 1_768_478_400 + 120, exp: 1_768_478_400 + 900 }, 'token_not_yet_valid'],
    ['no id', { jti: undefined }, 'token_invalid'],
    ['an id of 10 kB', { jti: 'x'.repeat(10_000) }, 'token_invalid'],
    ['nobody in it', { sallyport: undefined }, 'token_invalid'],
    ['a newer identity', { sallyport: { v: 2 } }, 'token_invalid'],
    [
      'a reference to what is not there',
      { sallyport: { v: 1, ref: `${'A'.repeat(43)}/1768482000000` } },
      'token_invalid',
    ],
    ['a reference that leads elsewhere', { sallyport: { v: 1, ref: '../../keys/issued/x' } }, 'token_invalid'],
  ])('is refused with %s, though the gateway’s own key signed it', async (_, changes, reason) => {
    const one = await oneReplica();
    const { token } = await one.issuer.issue(jane());
    const claims = Object.fromEntries(
      Object.entries({ ...claimsOf(token), ...changes }).filter(([, v]) => v !== undefined),
    );
    expect(await one.verify(await forge(one, {}, claims))).toMatchObject({ ok: false, reason });
  });

  it('is refused with another signature, another key, or one word of it changed', async () => {
    const one = await oneReplica();
    const other = await oneReplica();
    const { token } = await one.issuer.issue(jane());
    const [header, , signature] = token.split('.');
    const changed = Buffer.from(JSON.stringify({ ...claimsOf(token), sub: 'corp/sam' })).toString('base64url');
    for (const bad of [
      `${header}.${changed}.${signature}`,
      (await other.issuer.issue(jane())).token,
      await forge(other, {}, claimsOf(token)),
    ])
      expect(await one.verify(bad)).toMatchObject({ ok: false, reason: 'token_invalid' });
  });
});

describe('an identity that is too large for a header', () => {
  const groups = Array.from({ length: 250 }, (_, n) => `8f14e45f-ceea-467f-9c1a-${String(n).padStart(12, '0')}`);

  it('goes into the state, and the token stays short', async () => {
    const { issuer, verify } = await oneReplica();
    const caller = jane({ groups, claims: { sub: 'jane', groups } });
    const { token, tokenId, expiresAtMs } = await issuer.issue(caller);
    expect(token.length).toBeLessThan(800);
    expect(await verify(token)).toEqual({
      ok: true,
      caller: { ...caller, team: undefined, proof: 'issued', tokenId, expiresAtMs },
    });
  });

  it('is one document for many tokens, read once, and gone when none can be good any more', async () => {
    const { issuer, verify, state, clock } = await oneReplica();
    const caller = jane({ groups });
    const tokens = await Promise.all(Array.from({ length: 20 }, async () => (await issuer.issue(caller)).token));
    expect(await state.list('issued/identity/', { limit: 100 })).toHaveLength(1);
    state.asked.length = 0;
    for (const token of tokens) expect(await verify(token)).toMatchObject({ ok: true });
    expect(state.asked.filter((asked) => asked.startsWith('get issued/identity/'))).toHaveLength(1);
    clock.ms += day;
    expect(await state.list('issued/identity/', { limit: 100 })).toEqual([]);
  });

  it('is not taken from the state when somebody has changed it there', async () => {
    const { issuer, verify, state } = await oneReplica();
    const { token } = await issuer.issue(jane({ groups }));
    const [document] = await state.list('issued/identity/', { limit: 1 });
    const text = document?.value.replace('"jane"', '"root"') ?? '';
    expect(await state.replace(document?.key ?? '', document?.version ?? 0, text)).toMatchObject({ ok: true });
    expect(await verify(token)).toMatchObject({ ok: false, reason: 'token_invalid' });
  });

  it('cannot be said when the state is lost', async () => {
    const { issuer, verify, state } = await oneReplica();
    const { token } = await issuer.issue(jane({ groups }));
    state.isLost = true;
    expect(await verify(token)).toMatchObject({ ok: false, reason: 'state_unavailable' });
  });

  it('is also one that a token could not carry: a claim named __proto__, claims nested deeply', async () => {
    const { issuer, verify } = await oneReplica();
    for (const claims of [
      JSON.parse('{"__proto__":{"admin":true}}'),
      JSON.parse(`${'{"a":'.repeat(31)}1${'}'.repeat(31)}`),
    ]) {
      const answer = await verify((await issuer.issue(jane({ claims }))).token);
      expect(answer).toMatchObject({ ok: true });
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
      expect(JSON.stringify(answer.ok && answer.caller.claims)).toBe(JSON.stringify(claims));
    }
  });
});

describe('an assertion for a model', () => {
  it('says who calls, to that model only, for two minutes', async () => {
    const { issuer, clock } = await oneReplica();
    const token = await issuer.assertion(jane(), 'https://model.example');
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(issuer.jwks() as JSONWebKeySet), {
      audience: 'https://model.example',
      issuer: issuerUrl,
      currentDate: new Date(clock.ms),
    });
    expect(protectedHeader.typ).toBe('sallyport-identity+jwt');
    expect(payload).toMatchObject({
      sub: 'corp/jane',
      provider: 'corp',
      subject: 'jane',
      email: 'jane@example.com',
      groups: ['ml-eng', 'pii-cleared'],
      team: 'ml-platform',
      kind: 'person',
      exp: clock.ms / 1000 + 120,
    });
    expect(payload).not.toHaveProperty('claims');
  });

  it('does not pass for a credential of the gateway, even if the audience is the same', async () => {
    const { issuer, verify } = await oneReplica();
    expect(await verify(await issuer.assertion(jane(), issuerUrl))).toMatchObject({
      ok: false,
      reason: 'token_invalid',
    });
  });

  it('is used again while it is good for 30 s more, for the same caller and model', async () => {
    const { issuer, clock } = await oneReplica();
    const caller = jane();
    const first = await issuer.assertion(caller, 'm');
    clock.ms += 90_000;
    expect(await issuer.assertion(caller, 'm')).toBe(first);
    expect(await issuer.assertion(caller, 'other')).not.toBe(first);
    expect(await issuer.assertion(jane(), 'm')).not.toBe(first);
    clock.ms += 1;
    expect(await issuer.assertion(caller, 'm')).not.toBe(first);
  });

  it.each([
    ['names groups of 4 KiB', ['x'.repeat(4092)], true],
    ['leaves out groups of more, and says so', ['x'.repeat(4093)], false],
    ['counts bytes, not characters', ['ü'.repeat(2047)], false],
    ['leaves out five thousand groups', Array.from({ length: 5000 }, (_, n) => `group-${n}`), false],
  ])('%s', async (_name, groups, isThere) => {
    const { issuer } = await oneReplica();
    const token = await issuer.assertion(jane({ groups }), 'https://model.example');
    const { groups: said, groups_omitted: omitted } = claimsOf(token) as Record<string, unknown>;
    expect([said, omitted]).toEqual(isThere ? [groups, undefined] : [undefined, true]);
    expect(token.length).toBeLessThan(8000);
  });

  it('ends with the caller’s own credential', async () => {
    const { issuer, clock } = await oneReplica();
    const token = await issuer.assertion(jane({ expiresAtMs: clock.ms + 40_000 }), 'm');
    expect(claimsOf(token).exp).toBe(clock.ms / 1000 + 40);
  });
});
