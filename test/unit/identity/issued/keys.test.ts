import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { openIssuedKeys } from '../../../../src/identity/issued/keys.ts';
import { Clock, day, folder, hour, issuerUrl, jane, minute, oneReplica, replica, State } from './replicas.ts';

const kidsOf = ({ keys }: { readonly keys: readonly object[] }) => keys.map((key) => (key as { kid: string }).kid);
const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid as string;

describe('the keys that sign', () => {
  it('are in a file that nobody else may read, and nothing private of them is published', async () => {
    const { keyFile, keys, state } = await oneReplica();
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(existsSync(`${keyFile}.new`)).toBe(false);
    for (const key of keys.jwks().keys)
      expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    for (const { value } of await state.list('keys/', { limit: 100 }))
      expect(JSON.parse(value)).not.toHaveProperty('d');
  });

  it('verify a token with any JOSE library, by the published set', async () => {
    const { issuer, clock } = await oneReplica();
    const { token } = await issuer.issue(jane());
    const set = createLocalJWKSet(issuer.jwks() as JSONWebKeySet);
    const { payload } = await jwtVerify(token, set, {
      audience: issuerUrl,
      issuer: issuerUrl,
      typ: 'at+jwt',
      currentDate: new Date(clock.ms),
    });
    expect(payload.sub).toBe('corp/jane');
  });

  it('are the same after a restart', async () => {
    const dir = folder();
    const clock = new Clock();
    const first = await replica({ dir, clock, stateFile: join(dir, 'control.db') });
    const { token } = await first.issuer.issue(jane());
    const second = await replica({ dir, clock, stateFile: join(dir, 'control.db') });
    expect(kidsOf(second.issuer.jwks())).toEqual(kidsOf(first.issuer.jwks()));
    expect(await second.verify(token)).toMatchObject({ ok: true });
  });

  it.each([
    ['others may read it', (file: string) => chmodSync(file, 0o640), /its mode is 640, but must be 600/],
    ['it is cut off', (file: string) => writeFileSync(file, readFileSync(file, 'utf8').slice(0, 40)), /it is damaged/],
    ['it is empty', (file: string) => writeFileSync(file, ''), /it is damaged/],
    ['it has no key', (file: string) => writeFileSync(file, '{"version":1,"keys":[]}'), /it is damaged/],
    ['it is of a newer version', (file: string) => writeFileSync(file, '{"version":2,"keys":[]}'), /it is damaged/],
    [
      'it has a number that is not on the curve',
      (file: string) =>
        writeFileSync(file, readFileSync(file, 'utf8').replace(/"x":"[^"]{20}/, `"x":"${'A'.repeat(20)}`)),
      /not a P-256 key/,
    ],
  ])('are refused, with what to do, when %s', async (_, damage, message) => {
    const { keyFile, state, clock } = await oneReplica();
    damage(keyFile);
    const opening = openIssuedKeys({ file: keyFile, state, now: clock.now, rotationMs: 30 * day });
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toThrow(/[Rr]emove it: then new keys are made/);
    await expect(opening).rejects.toMatchObject({ code: 'issued_keys_refused' });
  });
});

describe('rotation', () => {
  it('publishes the next key an hour and more before it signs, and the old one until its last token has expired', async () => {
    const { clock, keys, issuer, verify } = await oneReplica();
    const start = clock.ms;
    const [old] = kidsOf(keys.jwks());
    const first = await issuer.issue(jane({ expiresAtMs: start + 90 * day }));
    clock.ms = start + 30 * day - 64 * minute;
    await keys.maintain();
    const [, next] = kidsOf(keys.jwks());
    expect(next).toBeDefined();
    expect(kidOf((await issuer.issue(jane({ expiresAtMs: start + 90 * day }))).token)).toBe(old);

    clock.ms = start + 30 * day - 1000;
    await keys.maintain();
    const last = await issuer.issue(jane({ expiresAtMs: start + 90 * day }));
    expect(kidOf(last.token)).toBe(old);
    clock.ms = start + 30 * day;
    await keys.maintain();
    expect(kidOf((await issuer.issue(jane({ expiresAtMs: start + 90 * day }))).token)).toBe(next);
    clock.ms = last.expiresAtMs - 1000;
    await keys.maintain();
    expect(await verify(last.token)).toMatchObject({ ok: true });
    expect(await verify(first.token)).toMatchObject({ ok: false, reason: 'token_expired' });

    clock.ms = start + 30 * day + 4 * hour;
    await keys.maintain();
    await keys.refresh();
    expect(kidsOf(keys.jwks())).toEqual([next]);
  });

  it('that is overdue after a long stop still publishes the next key for an hour before it signs', async () => {
    const { clock, keys, issuer } = await oneReplica();
    const [old] = kidsOf(keys.jwks());
    clock.ms += 400 * day;
    await keys.maintain();
    const sign = async () => kidOf((await issuer.issue(jane({ expiresAtMs: clock.ms + day }))).token);
    expect(await sign()).toBe(old);
    clock.ms += hour - 1000;
    expect(await sign()).toBe(old);
    clock.ms += 1000;
    expect(await sign()).not.toBe(old);
  });

  it('goes on with the key that there is when the clock was set back', async () => {
    const { clock, issuer, verify } = await oneReplica();
    clock.ms -= 10 * day;
    const { token } = await issuer.issue(jane());
    expect(await verify(token)).toMatchObject({ ok: true });
  });
});

describe('replicas that share the state', () => {
  async function two() {
    const dir = folder();
    const clock = new Clock();
    const stateFile = join(dir, 'control.db');
    const a = await replica({ dir: join(dir, 'a'), stateFile, clock });
    const b = await replica({ dir: join(dir, 'b'), stateFile, clock });
    return { a, b, clock, dir, stateFile };
  }

  it('verify what the other one signed, though its key is newer than what they have read', async () => {
    const { a, b, clock } = await two();
    expect(kidsOf(a.keys.jwks())).toHaveLength(1);
    clock.ms += 2000;
    const { token } = await b.issuer.issue(jane());
    expect(await a.verify(token)).toMatchObject({ ok: true, caller: { subject: 'jane', proof: 'issued' } });
    expect(kidsOf(a.keys.jwks()).toSorted()).toEqual(kidsOf(b.keys.jwks()).toSorted());
  });

  it('read the state once a second at most, however many unknown key ids come', async () => {
    const { a, clock } = await two();
    clock.ms += 2000;
    a.state.asked.length = 0;
    await Promise.all(Array.from({ length: 200 }, (_, n) => a.keys.find(`unknown-${n}`)));
    for (let n = 0; n < 200; n++) await a.keys.find(`unknown-${n}`);
    expect(a.state.asked).toEqual(['list keys/issued/']);
    clock.ms += 1000;
    await a.keys.find('unknown');
    expect(a.state.asked).toHaveLength(2);
  });

  it('keep a key in the state for as long as it signs, and forget that of a replica that is gone', async () => {
    const { a, b, clock } = await two();
    const kidOfB = kidsOf(b.keys.jwks()).find((kid) => !kidsOf({ keys: a.keys.jwks().keys.slice(0, 1) }).includes(kid));
    for (let n = 0; n < 20; n++) {
      clock.ms += 30 * minute;
      await a.keys.maintain();
    }
    const { token } = await a.issuer.issue(jane({ expiresAtMs: clock.ms + day }));
    await b.keys.refresh();
    expect(await b.verify(token)).toMatchObject({ ok: true });
    await a.keys.refresh();
    expect(kidsOf(a.keys.jwks())).not.toContain(kidOfB);
  });

  it('publish again what somebody has removed from the state', async () => {
    const { a, b } = await two();
    for (const { key, version } of await a.state.list('keys/', { limit: 100 })) await a.state.remove(key, version);
    await a.keys.refresh();
    await b.keys.refresh();
    expect(kidsOf(b.keys.jwks())).toHaveLength(1);
    await a.issuer.issue(jane());
    await b.keys.refresh();
    expect(kidsOf(b.keys.jwks())).toHaveLength(2);
  });

  it('issue nothing that others could not verify: without the state there is no token', async () => {
    const { a, clock } = await two();
    a.state.isLost = true;
    expect((await a.issuer.issue(jane())).tokenId).toBeTruthy();
    clock.ms += 2 * hour;
    await expect(a.issuer.issue(jane())).rejects.toMatchObject({ code: 'state_unavailable' });
  });

  it('take no key under the name of another, and nothing that is not a public P-256 key', async () => {
    const { a, b, clock } = await two();
    const [mine] = kidsOf(a.keys.jwks());
    const key = JSON.stringify({ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'B'.repeat(43) });
    const expiresAtMs = clock.ms + 10 * hour;
    const other = await new State(join(folder(), 'other.db'), clock).list('keys/', { limit: 1 });
    expect(other).toEqual([]);
    await b.state.putIfAbsent(`keys/issued/${mine}/${expiresAtMs}`, key, { expiresAtMs });
    await b.state.putIfAbsent(`keys/issued/evil/${expiresAtMs}`, key, { expiresAtMs });
    await b.state.putIfAbsent(`keys/issued/oct/${expiresAtMs}`, '{"kty":"oct","k":"AAAA"}', { expiresAtMs });
    await b.state.putIfAbsent(`keys/issued/junk/${expiresAtMs}`, 'junk', { expiresAtMs });
    await a.keys.refresh();
    expect(kidsOf(a.keys.jwks())).toHaveLength(2);
    const { token } = await a.issuer.issue(jane());
    expect(await a.verify(token)).toMatchObject({ ok: true });
  });
});
