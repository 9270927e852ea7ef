import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRevocations, type RevocationOptions } from '../../../../src/identity/issued/revocations.ts';
import { Clock, day, folder, hour, jane, State } from './replicas.ts';

const maxAgeMs = 30_000;

/** What the list of revoked tokens keeps. */
const kept = hour + 10 * 60_000;

/** A clock that can be set, too: `ms` alone is time that passes. */
class SetClock extends Clock {
  #setMs = 0;
  readonly monotonic = () => this.ms - this.#setMs;
  set(byMs: number): void {
    this.ms += byMs;
    this.#setMs += byMs;
  }
}

const corpJane = { provider: 'corp', subject: 'jane' };

function shared() {
  const clock = new SetClock();
  const file = join(folder(), 'control.db');
  const open = (more: Partial<RevocationOptions> = {}) => {
    const state = new State(file, clock);
    return { state, list: createRevocations({ ...pickClock(clock), state, maxAgeMs, aheadMs: 0, ...more }) };
  };
  return { clock, open };
}

const pickClock = ({ now, monotonic }: SetClock) => ({ now, monotonic });

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

  it('of a subject is what the provider dated ahead, too, as far as clocks may differ', async () => {
    const { open, clock } = shared();
    const { list } = open({ aheadMs: 300_000 });
    await list.refresh();
    const issuedAtMs = clock.ms + 299_000;
    await list.revokeSubject('corp', 'jane');
    clock.ms += 20_000;
    expect(list.check(jane({ issuedAtMs }))).toBe('revoked');
    expect(list.check(jane({ issuedAtMs: issuedAtMs + 2000 }))).toBeUndefined();
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
      ...pickClock(clock),
      ...{ maxAgeMs, aheadMs: 0 },
    });
    await list.revokeToken('t1', clock.ms + hour);
    await list.revokeSubject('corp', 'sam');
    await spied.refresh();
    clock.ms += 1000;
    await spied.refresh();
    expect(afters.map((after) => after === '')).toEqual([true, true, false, false]);
    clock.ms += 60_000;
    await spied.refresh();
    expect(afters.slice(4).map((after) => after === '')).toEqual([false, false, true, true]);
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
    const { list } = open({ capacity: 2 });
    await list.refresh();
    await list.revokeToken('a', clock.ms + hour);
    await list.revokeToken('b', clock.ms + hour);
    await expect(list.revokeToken('c', clock.ms + hour)).rejects.toMatchObject({ code: 'revocation_refused' });
    clock.ms += kept;
    await list.refresh();
    await list.revokeToken('c', clock.ms + hour);
    expect(list.check(jane({ tokenId: 'c' }))).toBe('revoked');
    expect(list.check(jane({ tokenId: 'a' }))).toBeUndefined();
  });

  it('says that it does not know when there is more than it can hold', async () => {
    const { open, clock } = shared();
    const { list } = open({ capacity: 4 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await open().list.revokeToken(id, clock.ms + hour);
    await list.refresh();
    expect(list.check(jane())).toBe('unknown');
  });

  it('has a token once, however often it is taken back, and by how many at once', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    await Promise.all(Array.from({ length: 20 }, () => list.revokeToken('t1', clock.ms + hour, corpJane)));
    await list.revokeToken('t1', clock.ms + hour);
    const other = open();
    await other.list.refresh();
    await other.list.revokeToken('t1', clock.ms + hour, corpJane);
    expect(await state.list('revoked/token/', { limit: 10 })).toHaveLength(1);
  });

  it('writes again what could not be written', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    state.isLost = true;
    await expect(list.revokeToken('t1', clock.ms + hour)).rejects.toMatchObject({ code: 'state_unavailable' });
    state.isLost = false;
    await list.revokeToken('t1', clock.ms + hour);
    expect(await state.list('revoked/token/', { limit: 10 })).toHaveLength(1);
  });

  it('counts what the list has, not what has yet to expire: short tokens fill it as long ones do', async () => {
    const { open, clock } = shared();
    const { list } = open({ capacity: 4 });
    await list.refresh();
    const sam = { provider: 'corp', subject: 'sam' };
    await list.revokeToken('a', clock.ms + 2000, corpJane);
    await list.revokeToken('b', clock.ms + 2000, sam);
    clock.ms += 60_000;
    await list.refresh();
    await expect(list.revokeToken('c', clock.ms + 2000, { provider: 'corp', subject: 'kim' })).rejects.toMatchObject({
      code: 'revocation_refused',
    });
  });

  it('leaves room for others and the operator when one holder gives back all that he gets', async () => {
    const { open, clock } = shared();
    const [a, b] = [open({ capacity: 200 }).list, open({ capacity: 200 }).list];
    for (const id of ['1', '2']) await a.revokeToken(id, clock.ms + hour, corpJane);
    await b.refresh();
    for (const list of [a, b])
      await expect(list.revokeToken('3', clock.ms + hour, corpJane)).rejects.toMatchObject({
        code: 'revocation_refused',
      });
    await b.revokeToken('4', clock.ms + hour, { provider: 'corp', subject: 'sam' });
    for (let n = 0; n < 120; n++) await b.revokeToken(`holder ${n}`, clock.ms + hour, undefined);
    await expect(b.revokeToken('5', clock.ms + hour, { provider: 'corp', subject: 'kim' })).rejects.toMatchObject({
      code: 'revocation_refused',
    });
    await b.revokeToken('6', clock.ms + hour);
    expect(b.check(jane({ tokenId: '6' }))).toBe('revoked');
    clock.ms += kept;
    await b.refresh();
    await b.revokeToken('7', clock.ms + hour, corpJane);
    expect(b.check(jane({ tokenId: '7' }))).toBe('revoked');
  });

  it('forgets nothing when the clock is set ahead for a moment and back', async () => {
    const { open, clock } = shared();
    const { list } = open();
    await list.refresh();
    await list.revokeToken('t1', clock.ms + hour);
    clock.set(3 * hour);
    await list.refresh();
    clock.set(-3 * hour);
    expect(list.check(jane({ tokenId: 't1' }))).toBe('unknown');
    await list.refresh();
    expect(list.check(jane({ tokenId: 't1' }))).toBe('revoked');
  });

  it('that was first read under a clock set ahead is read anew, before anything is known, when that is set right', async () => {
    const { open, clock } = shared();
    await open().list.revokeToken('t1', clock.ms + hour);
    clock.set(3 * hour);
    const { list } = open();
    await list.refresh();
    clock.set(-3 * hour);
    expect(list.check(jane({ tokenId: 't1' }))).toBe('unknown');
    await list.refresh();
    expect(list.check(jane({ tokenId: 't1' }))).toBe('revoked');
  });

  it('is read again without holding up what is new', async () => {
    const { open, clock } = shared();
    const { list, state } = open();
    await list.revokeToken('t1', clock.ms + hour);
    await list.revokeSubject('corp', 'sam');
    await list.refresh();
    clock.ms += 60_000;
    const reading = state.list;
    let calls = 0;
    Object.assign(state, {
      list: (...page: Parameters<typeof reading>) => {
        calls++;
        if (page[1].after === '') state.isLost = true;
        return reading(...page);
      },
    });
    await expect(list.refresh()).rejects.toMatchObject({ code: 'state_unavailable' });
    expect([calls, list.check(jane({ tokenId: 't1' })), list.problem()]).toEqual([3, 'revoked', undefined]);
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
