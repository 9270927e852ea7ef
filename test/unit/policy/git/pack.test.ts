import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openFetched } from '../../../../src/policy/git/fetched.ts';
import type { ObjectType } from '../../../../src/policy/git/objects.ts';
import { copy, delta, idOf, insert, makePack, type PackItem, summed } from '../../../support/git-pack.ts';

const all: ReadonlySet<ObjectType> = new Set(['commit', 'tree', 'blob', 'tag']);
const mib = 1_048_576;
const open = (items: readonly PackItem[], totalBytes = 64 * mib) => openFetched(makePack(items), totalBytes, all);

const base = Buffer.from('The harbour was calm. '.repeat(40));
const changed = Buffer.concat([base.subarray(100, 400), Buffer.from('And then?'), base.subarray(0, 50)]);
const ofBase = delta(base.length, changed.length, copy(100, 300), insert('And then?'), copy(0, 50));
const again = Buffer.concat([changed, Buffer.from('!')]);
const ofChanged = delta(changed.length, again.length, copy(0, changed.length), insert('!'));

describe('A pack that was fetched', () => {
  test.each<[string, readonly PackItem[]]>([
    [
      'deltas of what is before them',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: ofBase },
        { kind: 'ofs-delta', base: 1, bytes: ofChanged },
      ],
    ],
    [
      'deltas of what is named, also after them',
      [
        { kind: 'ref-delta', base: idOf('blob', changed), bytes: ofChanged },
        { kind: 'ref-delta', base: idOf('blob', base), bytes: ofBase },
        { kind: 'blob', bytes: base },
      ],
    ],
    [
      'an object twice',
      [
        { kind: 'blob', bytes: base },
        { kind: 'blob', bytes: base },
        { kind: 'ref-delta', base: idOf('blob', base), bytes: ofBase },
        { kind: 'ofs-delta', base: 2, bytes: ofChanged },
      ],
    ],
  ])('gives its objects, of %s', async (_what, items) => {
    const objects = open(items);
    for (const bytes of [base, changed, again])
      expect(await objects.read(idOf('blob', bytes))).toEqual({ type: 'blob', bytes });
    expect(await objects.find('1'.repeat(40))).toBeUndefined();
    await expect(objects.read('../../etc')).rejects.toThrow('an object id that is none');
  });

  test('gives an empty object, and one as long as may be', async () => {
    const long = Buffer.alloc(8 * mib, 'long');
    const objects = open([
      { kind: 'blob', bytes: Buffer.alloc(0) },
      { kind: 'tree', bytes: long },
    ]);
    expect((await objects.read(idOf('blob', Buffer.alloc(0)))).bytes).toHaveLength(0);
    expect((await objects.read(idOf('tree', long))).bytes.equals(long)).toBe(true);
  });

  test('puts nothing together that is not wanted', async () => {
    const items: PackItem[] = [
      { kind: 'blob', bytes: base },
      // Would make more than there may be.
      { kind: 'ofs-delta', base: 0, bytes: delta(base.length, 8 * mib, copy(0, 10)) },
      { kind: 'commit', bytes: base },
      { kind: 'ofs-delta', base: 2, bytes: ofBase },
    ];
    const commits = openFetched(makePack(items), mib, new Set(['commit'] as const));
    expect((await commits.read(idOf('commit', changed))).bytes).toEqual(changed);
    expect(await commits.find(idOf('blob', base))).toBeUndefined();
  });

  const zeros = Buffer.alloc(8 * mib);
  const copies = (count: number) => Array.from({ length: count }, () => copy(0, 65_535));
  const chain = (length: number): PackItem[] => [
    { kind: 'blob', bytes: base },
    ...Array.from(
      { length },
      (_, n): PackItem => ({
        kind: 'ofs-delta',
        base: n,
        bytes: delta(base.length + n, base.length + n + 1, copy(0, base.length + n), insert('x')),
      }),
    ),
  ];
  test.each<[string, readonly PackItem[], string]>([
    ['an object of 8 MiB and a byte', [{ kind: 'blob', bytes: Buffer.alloc(8 * mib + 1) }], 'more than 8388608 bytes'],
    [
      'an object that declares terabytes',
      [{ kind: 'blob', bytes: base, declared: 2 ** 43 }],
      'more than 8388608 bytes',
    ],
    [
      'a stream that holds more than it declares',
      [{ kind: 'blob', bytes: base, declared: 10, packed: deflateSync(Buffer.alloc(64 * mib)) }],
      'is not as long as it declares',
    ],
    [
      'a stream that holds less than it declares',
      [{ kind: 'blob', bytes: base, declared: base.length + 1 }],
      'a pack of the repository is not well formed',
    ],
    [
      'a stream that is none',
      [{ kind: 'blob', bytes: base, packed: Buffer.alloc(99, 'x') }],
      'is not as long as it declares',
    ],
    [
      'many objects that are long together',
      Array.from({ length: 9 }, (): PackItem => ({ kind: 'blob', bytes: zeros })),
      'more than 67108864 bytes unpacked, four times policies.git.maxBytes',
    ],
    [
      'deltas that make more than there may be together',
      [
        { kind: 'blob', bytes: Buffer.alloc(65_535) },
        ...Array.from(
          { length: 9 },
          (): PackItem => ({ kind: 'ofs-delta', base: 0, bytes: delta(65_535, 120 * 65_535, ...copies(120)) }),
        ),
      ],
      'more than 67108864 bytes unpacked',
    ],
    [
      'a delta that declares to make more than an object may have',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: delta(base.length, 2 ** 33, copy(0, 10)) },
      ],
      'more than 8388608 bytes',
    ],
    [
      'a delta that makes more than it declares',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: delta(base.length, 10, copy(0, 300)) },
      ],
      'not well formed',
    ],
    [
      'a delta that makes less than it declares',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: delta(base.length, 400, copy(0, 300)) },
      ],
      'not well formed',
    ],
    [
      'a delta that copies from beyond its base',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: delta(base.length, 300, copy(base.length - 299, 300)) },
      ],
      'not well formed',
    ],
    [
      'a delta of another length',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: delta(base.length + 1, 300, copy(0, 300)) },
      ],
      'not well formed',
    ],
    [
      'a delta that inserts from beyond its end',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: Buffer.concat([delta(base.length, 9), Buffer.from('\x09abc')]) },
      ],
      'not well formed',
    ],
    [
      'a command of a delta that is reserved',
      [
        { kind: 'blob', bytes: base },
        { kind: 'ofs-delta', base: 0, bytes: delta(base.length, 0, Buffer.of(0)) },
      ],
      'not well formed',
    ],
    ['a delta of itself', [{ kind: 'ofs-delta', base: 0, bytes: ofBase }], 'not well formed'],
    ['a chain of deltas that is too long', chain(251), 'deltas of deltas'],
  ])('with %s is refused', (_what, items, why) => {
    expect(() => open(items)).toThrow(why);
  });

  test('with a chain of deltas that takes too much memory is refused however much there may be together', () => {
    const items: PackItem[] = [{ kind: 'blob', bytes: zeros }];
    for (let n = 0; n < 9; n += 1)
      items.push({
        kind: 'ofs-delta',
        base: n,
        bytes: delta(8 * mib, 8 * mib, ...Array.from({ length: 256 }, () => copy(n, 32_768))),
      });
    expect(() => open(items, 1024 * mib)).toThrow('deltas of deltas that are too many or too long');
  });

  test('with a chain of 250 deltas is read', async () => {
    const last = Buffer.concat([base, Buffer.from('x'.repeat(250))]);
    expect((await open(chain(250)).read(idOf('blob', last))).bytes).toEqual(last);
  });

  test('with deltas of each other, or of what is not there, has not got those objects', async () => {
    const objects = open([
      { kind: 'blob', bytes: base },
      { kind: 'ref-delta', base: idOf('blob', changed), bytes: ofChanged },
      { kind: 'ref-delta', base: idOf('blob', again), bytes: ofBase },
    ]);
    expect(await objects.find(idOf('blob', base))).toBeDefined();
    for (const bytes of [changed, again]) expect(await objects.find(idOf('blob', bytes))).toBeUndefined();
  });

  const good = makePack([{ kind: 'blob', bytes: base }]);
  test.each<[string, Buffer, string]>([
    ['is empty', Buffer.alloc(0), 'not well formed'],
    ['is cut off', good.subarray(0, -25), 'not well formed'],
    ['is cut off, with a sum of its own', summed(good.subarray(0, -30)), 'is not as long as it declares'],
    ['was changed on the way', Buffer.concat([good.subarray(0, 20), Buffer.of(0), good.subarray(21)]), 'not well'],
    ['is of another version', summed(Buffer.from('PACK\0\0\0\x03\0\0\0\0'.padEnd(40))), 'not well formed'],
    ['declares more objects than may be', makePack([], 500_001), 'more than 500000 objects'],
    ['declares more objects than there are', makePack([{ kind: 'blob', bytes: base }], 2), 'not well formed'],
    ['has something after its objects', makePack([{ kind: 'blob', bytes: base }], 0), 'not well formed'],
    ['has an object of no kind', summed(Buffer.from('PACK\0\0\0\x02\0\0\0\x01\x51aaaaaaaaaaaaaaaa')), 'not well'],
    [
      'has a size without an end',
      summed(Buffer.from(`PACK\0\0\0\x02\0\0\0\x01\xb0${'\x80'.repeat(40)}`, 'latin1')),
      'not well formed',
    ],
  ])('that %s is refused', (_what, bytes, why) => {
    expect(() => openFetched(bytes, 64 * mib, all)).toThrow(why);
  });
});
