import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ContentRecord, EventRecord } from '../../../src/record/codec.ts';
import { encodeBatch, parameterText } from '../../../src/store/rows.ts';

const retention = { eventDays: 400, contentDays: 90 };
const writer = '3f0c2b1a-0000-4000-8000-000000000001';

function content(bytes: Uint8Array, session = 's', at = 1_700_000_000_123): ContentRecord {
  return { kind: 'content', writer, session, direction: 'response', seq: 7, at, bytes: Buffer.from(bytes) };
}

function event(hash: Uint8Array, body: string): EventRecord {
  return {
    kind: 'event',
    writer,
    leaf: 3,
    scheme: 1,
    hash: Buffer.from(hash),
    session: 's',
    at: 1_700_000_000_123,
    type: 'end',
    body: Buffer.from(body),
  };
}

/** How ClickHouse reads a TabSeparated row (its documentation, "TabSeparated: data formatting"). */
function read(tsv: Buffer): Buffer[][] {
  const meanings: Record<string, string> = { t: '\t', n: '\n', r: '\r', '0': '\0', '\\': '\\' };
  return tsv
    .toString('latin1')
    .split('\n')
    .slice(0, -1)
    .map((row) =>
      row.split('\t').map((field) =>
        Buffer.from(
          field.replaceAll(/\\(.)/g, (_, letter: string) => meanings[letter] ?? '?'),
          'latin1',
        ),
      ),
    );
}

describe('rows as TabSeparated', () => {
  it('of policies are kept two days longer than what may cite them', async () => {
    const events = [event(Buffer.alloc(32), '{}'), { ...event(Buffer.alloc(32), '{}'), type: 'policy' as const }];
    const [table] = await encodeBatch({ events, contents: [], bytes: 0 }, retention);
    expect(read(table!.tsv).map((row) => Number(row[5]?.toString()) - 1_700_000_000)).toEqual([
      400 * 86_400,
      402 * 86_400,
    ]);
  });

  it('carry any bytes of a text, and its time and end of retention', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 5 }), async (texts) => {
        const [table] = await encodeBatch(
          { events: [], contents: texts.map((bytes) => content(bytes)), bytes: 0 },
          retention,
        );
        expect(table?.table).toBe('contents');
        const rows = read(table!.tsv);
        expect(rows.map((row) => row[4])).toEqual(texts.map((bytes) => Buffer.from(bytes)));
        for (const row of rows) {
          expect(row).toHaveLength(table!.columns.length);
          expect(row[3]?.toString()).toBe('1700000000.123');
          expect(row[5]?.toString()).toBe(String(1_700_000_000 + 90 * 86_400));
        }
      }),
    );
  });

  it('carry the hash and the body of an event exactly', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.string({ unit: 'binary' }),
        async (hash, text) => {
          const body = JSON.stringify({ text });
          const [table] = await encodeBatch({ events: [event(hash, body)], contents: [], bytes: 0 }, retention);
          const [row] = read(table!.tsv);
          expect(table?.table).toBe('events');
          expect(row?.slice(0, 3).join(' ')).toBe(`${writer} 3 1`);
          expect(row?.[3]).toEqual(Buffer.from(hash));
          expect(row?.[4]).toEqual(Buffer.from(body));
        },
      ),
    );
  });

  it('of contents go before those of events, so that an end is never seen without its text', async () => {
    const tables = await encodeBatch(
      { events: [event(new Uint8Array(32), '{}')], contents: [content(Buffer.from('x'))], bytes: 0 },
      retention,
    );
    expect(tables.map(({ table }) => table)).toEqual(['contents', 'events']);
  });

  it('of a large text are made in slices that let others run', async () => {
    let ticks = 0;
    let done = false;
    const count = () => {
      ticks++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const text = Buffer.alloc(4 * 1024 * 1024, '\n');
    const [table] = await encodeBatch({ events: [], contents: [content(text)], bytes: 0 }, retention);
    done = true;
    expect(table!.tsv.length).toBeGreaterThan(2 * text.length);
    expect(ticks).toBeGreaterThanOrEqual(16);
  });

  it('never expire later than ClickHouse can say', async () => {
    const [table] = await encodeBatch(
      { events: [], contents: [content(Buffer.of(), 's', 4.2e12)], bytes: 0 },
      { eventDays: 1, contentDays: 36_500 },
    );
    expect(read(table!.tsv)[0]?.[5]?.toString()).toBe('4294967295');
  });
});

describe('a parameter', () => {
  it.each([
    ['plain', 'plain'],
    ['a\tb\nc\rd\\e\0', 'a\\tb\\nc\\rd\\\\e\\0'],
    ["it's", "it's"],
    [42, '42'],
  ])('%j is given as %j', (value, text) => {
    expect(parameterText(value)).toBe(text);
  });
});
