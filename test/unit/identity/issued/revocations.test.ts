import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRevocations, type RevocationOptions } from '../../../../src/identity/issued/revocations.ts';
import { Clock, day, folder, hour, jane, State } from './replicas.ts';

const maxAgeMs = 30_000;

function shared() {
  const clock = new Clock();
  const file = join(folder(), 'control.db');
  const open = (more: Partial<RevocationOptions> = {}) => {
    const state = new State(file, clock);
    return { state, list: createRevocations({ state, now: clock.now, maxAgeMs, ...more }) };
  };
  return { clock, open };
}

describe('what has been taken back', () => {
  it('is refused here at once, and at another replica with its next reading', async () => {
    const { open, clock } = shared();
    const [a, b] = [open(), open()];
    await a.list.refresh();
    await b.list.refresh();
    await a.list.revokeToken('t1', clock.ms + hour);
    expect(a.list.check(jane({ tokenId: 't1' }))).toBe('revoked');
    expect(b.list.check(jane({ tokenId: 't1' }))).toBeUndefined();
    clock.ms += 1000;
    await b.list.refresh();
    expect(b.list.check(jane({ tokenId: 't1' }))).toBe('revoked');
    expect(b.list.check(jane({ tokenId: 't2' }))).toBeUndefined();
  });

  it('is still refused after a restart', async () => {
    const { open, clock } = shared();
    const { list } = open();
    await list.revokeToken('t1', clock.ms + hour);
    await list.revokeSubject('corp', 'jane');
    const again = open().list;
    await again.refresh();
    expect(again.check(jane({ tokenId: 't1', subject: 'sam' }))).toBe('revoked');
    expect(again.check(jane())).toBe('revoked');
  });

  it.each(['token', 'issued', 'saml', 'jwt_authn', 'peer'] as const)(
    'of a subject is everything from before, by whatever proof: %s',
    async (proof) => {
      const { open, clock } = shared();
      const { list } = open();
      await list.refresh();
      await list.revokeSubject('corp', 'jane');
      expect(list.check(jane({ proof, issuedAtMs: clock.ms }))).toBe('revoked');
      expect(list.check(jane({ proof, issuedAtMs: clock.ms - 300 * day }))).toBe('revoked');
      expect(list.check(jane({ proof, issuedAtMs: clock.ms + 1000 }))).toBeUndefined();
      expect(list.check(jane({ proof, provider: 'other' }))).toBeUndefined();
      expect(list.check(jane({ proof, subject: 'Jane' }))).toBeUndefined();
    },
  );

  it('of a subject stays refused for 400 days, so that no long-lived token comes back to life', async () => {
    const { open, clock } = shared();
    const issuedAtMs = clock.ms - 1000;
    await open().list.revokeSubject('corp', 'jane');
    clock.ms += 399 * day;
    const { list } = open();
    await list.refresh();
    expect(list.check(jane({ issuedAtMs }))).toBe('revoked');
  });

  it('of a subject twice counts from the later time', async () => {
    const { open, clock } = shared();
    const { list } = open();
    await list.revokeSubject('corp', 'jane');
    clock.ms += hour;
    await list.revokeSubject('corp', 'jane');
    await list.refresh();
    expect(list.check(jane({ issuedAtMs: clock.ms - 1000 }))).toBe('revoked');
  });

  it('names nobody in the state', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    await list.revokeSubject('corp', 'jane');
    await list.revokeToken('t1', clock.ms + hour);
    expect(JSON.stringify(await state.list('revoked/', { limit: 10 }))).not.toMatch(/jane|t1/);
  });
});

describe('the list of revocations', () => {
  it('knows nothing before it was read, and nothing once it is too old', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    expect(list.check(jane())).toBe('unknown');
    await list.refresh();
    expect(list.check(jane())).toBeUndefined();
    state.isLost = true;
    clock.ms += maxAgeMs;
    await expect(list.refresh()).rejects.toMatchObject({ code: 'state_unavailable' });
    expect(list.check(jane())).toBeUndefined();
    clock.ms += 1;
    expect([list.check(jane()), list.problem()]).toEqual(['unknown', 'the list of revocations is too old']);
    state.isLost = false;
    await list.refresh();
    expect([list.check(jane()), list.problem()]).toEqual([undefined, undefined]);
  });

  it('takes a clock that was set back for an old list', async () => {
    const { open, clock } = shared();
    const { list } = open();
    await list.refresh();
    clock.ms -= 1;
    expect(list.check(jane())).toBe('unknown');
    await list.refresh();
    expect(list.check(jane())).toBeUndefined();
  });

  it('misses nothing of a replica whose clock is slow', async () => {
    const { open, clock } = shared();
    const slow = { now: () => clock.ms - 5 * 60_000 };
    const [a, b] = [open(), open(slow)];
    await a.list.refresh();
    await a.list.revokeToken('a', clock.ms + hour);
    await b.list.revokeToken('b', clock.ms + hour / 2);
    await a.list.refresh();
    expect(a.list.check(jane({ tokenId: 'b' }))).toBe('revoked');
  });

  it('misses nothing of many replicas that write at once', async () => {
    const { open, clock } = shared();
    const reader = open();
    await reader.list.refresh();
    const writers = Array.from({ length: 5 }, () => open().list);
    await Promise.all(
      writers.flatMap((list, w) =>
        Array.from({ length: 20 }, (_, n) => list.revokeToken(`${w}-${n}`, clock.ms + hour)),
      ),
    );
    await reader.list.refresh();
    for (let w = 0; w < 5; w++)
      for (let n = 0; n < 20; n++) expect(reader.list.check(jane({ tokenId: `${w}-${n}` }))).toBe('revoked');
  });

  it('asks for nothing but what is new, and for everything once a minute', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    const afters: (string | undefined)[] = [];
    const spied = createRevocations({
      state: {
        ...pick(state),
        list: (prefix, page) => {
          afters.push(page.after);
          return state.list(prefix, page);
        },
      },
      now: clock.now,
      maxAgeMs,
    });
    await list.revokeToken('t1', clock.ms + hour);
    await spied.refresh();
    clock.ms += 1000;
    await spied.refresh();
    expect(afters.map((after) => after === '')).toEqual([true, true, false, false]);
    clock.ms += 60_000;
    await spied.refresh();
    expect(afters.slice(4).map((after) => after === '')).toEqual([true, true]);
  });

  it('begins anew after everything in it has expired, and readers of before see that', async () => {
    const { open, clock } = shared();
    const { list } = open();
    await list.refresh();
    await list.revokeToken('old', clock.ms + hour);
    clock.ms += 3 * hour;
    await list.refresh();
    await open().list.revokeToken('new', clock.ms + hour);
    await list.refresh();
    expect(list.check(jane({ tokenId: 'new' }))).toBe('revoked');
  });

  it('forgets a token once it has expired', async () => {
    const { open, clock } = shared();
    const { list } = open({ capacity: 4 });
    await list.refresh();
    await list.revokeToken('a', clock.ms + hour);
    await list.revokeToken('b', clock.ms + hour);
    await expect(list.revokeToken('c', clock.ms + hour)).rejects.toMatchObject({ code: 'revocation_refused' });
    clock.ms += hour;
    await list.refresh();
    await list.revokeToken('c', clock.ms + hour);
    expect(list.check(jane({ tokenId: 'c' }))).toBe('revoked');
  });

  it('says that it does not know when there is more than it can hold', async () => {
    const { open, clock } = shared();
    const { list } = open({ capacity: 4 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await open().list.revokeToken(id, clock.ms + hour);
    await list.refresh();
    expect(list.check(jane())).toBe('unknown');
  });

  it('refuses here what it could not write, and says that it could not', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    await list.refresh();
    state.isLost = true;
    await expect(list.revokeToken('t1', clock.ms + hour)).rejects.toMatchObject({ code: 'state_unavailable' });
    expect(list.check(jane({ tokenId: 't1' }))).toBe('revoked');
  });
});

const pick = (state: State) => ({ get: state.get, putIfAbsent: state.putIfAbsent, remove: state.remove });
