import { describe, expect, it } from 'vitest';
import type { CredentialEvent } from '../../../src/record/events.ts';
import { openJournal } from '../../../src/record/journal.ts';
import { folder, journalOptions, records, sessionId, startMs } from './events.ts';

function credential(action: CredentialEvent['action'], changes: Partial<CredentialEvent> = {}): CredentialEvent {
  return {
    type: 'credential',
    session: sessionId(1),
    at: startMs,
    action,
    grant: 'token_exchange',
    caller: undefined,
    tokenId: 'jti',
    expiresAtMs: startMs + 900_000,
    code: action === 'refused' ? 'token_expired' : '',
    detail: '',
    clientAddress: '192.0.2.7',
    by: '',
    count: 1,
    ...changes,
  } as CredentialEvent;
}

async function eventsIn(dir: string): Promise<CredentialEvent[]> {
  return (await records(dir)).flatMap((record) =>
    record.kind === 'event' && record.type === 'credential'
      ? [JSON.parse(record.body.toString()) as CredentialEvent]
      : [],
  );
}

describe('credentials in the journal', () => {
  it('are events of their own type, and open no session', async () => {
    const dir = folder();
    const journal = await openJournal(journalOptions(dir));
    for (const action of ['issued', 'revoked', 'refused'] as const) journal.event(credential(action));
    await journal.durable();
    expect(journal.gauges().openSessions).toBe(0);
    await journal.close();
    expect((await eventsIn(dir)).map(({ action }) => action)).toEqual(['issued', 'revoked', 'refused']);
  });

  it('that are refused by the thousand are counted together, by reason and address', async () => {
    const dir = folder();
    const journal = await openJournal(journalOptions(dir));
    for (let n = 0; n < 1000; n++) journal.event(credential('refused'));
    journal.event(credential('refused', { code: 'audience_wrong' }));
    await journal.close();
    const events = await eventsIn(dir);
    expect(events.length).toBeLessThan(100);
    expect(events.reduce((sum, { count }) => sum + count, 0)).toBe(1001);
    expect(events.at(-1)).toMatchObject({ clientAddress: '192.0.2.7', code: 'token_expired', action: 'refused' });
  });

  it('while the journal is full are neither issued nor taken back by callers; the operator can still take them back', async () => {
    const dir = folder();
    const journal = await openJournal(journalOptions(dir, { maxBytes: 4096, segmentBytes: 65_536 }));
    while (journal.state === 'open') {
      journal.event(credential('issued', { detail: 'x'.repeat(500) }));
      await journal.durable();
    }
    expect(() => journal.event(credential('issued'))).toThrow('journal_full');
    for (const grant of ['revocation', 'authorization_code'] as const)
      expect(() => journal.event(credential('revoked', { grant }))).toThrow('journal_full');
    expect(journal.event(credential('revoked', { grant: 'admin', by: 'root' }))).toBeGreaterThan(0);
    await journal.close();
  });
});
