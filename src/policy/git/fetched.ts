/** A pack that was fetched, held in memory: bounded as a whole before any of it is put together. */
import { createHash } from 'node:crypto';
import { checked, type Objects, type ObjectType, objectsOf, oidOf } from './objects.ts';
import {
  applyDelta,
  badPack,
  deltaSizes,
  entryAt,
  inflateEntry,
  maxChain,
  objectAt,
  type PackBytes,
  type PackEntry,
} from './pack.ts';
import { GitProblem } from './problem.ts';

const maxObjects = 500_000;
/** What may be in memory of a chain of deltas at once, bytes. */
const maxHeldBytes = 67_108_864;
/** SHA-1 of all before it. */
const trailerBytes = 20;

/**
 * The objects of a pack. Throws GitProblem for a pack that is not whole, or declares more than it may.
 * @param totalBytes most bytes that all objects may have, unpacked
 * @param kinds what is wanted: deltas of other objects are left as they are, and those objects are not found
 */
export function openFetched(bytes: Buffer, totalBytes: number, kinds: ReadonlySet<ObjectType>): Objects {
  const end = bytes.length - trailerBytes;
  const pack: PackBytes = { read: (offset, length) => bytes.subarray(offset, Math.min(offset + length, end)) };
  const index = new Index(pack, totalBytes);
  const offsets = index.build(countIn(bytes), end, kinds);
  return objectsOf(async (oid) => {
    const offset = offsets.get(oid);
    return offset === undefined
      ? undefined
      : checked(
          oid,
          objectAt(pack, offset, (base) => offsets.get(base)),
        );
  });
}

/** Number of objects that the header of a pack declares. */
function countIn(bytes: Buffer): number {
  if (bytes.length < 12 + trailerBytes || bytes.toString('latin1', 0, 4) !== 'PACK' || bytes.readUInt32BE(4) !== 2)
    throw badPack();
  const sum = createHash('sha1').update(bytes.subarray(0, -trailerBytes)).digest();
  if (!sum.equals(bytes.subarray(-trailerBytes))) throw badPack();
  const count = bytes.readUInt32BE(8);
  if (count > maxObjects) throw new GitProblem(`the repository has more than ${maxObjects} objects`);
  return count;
}

class Index {
  readonly #pack: PackBytes;
  readonly #totalBytes: number;
  #spent = 0;
  readonly #offsets: Map<string, number> = new Map();
  /** Deltas by what they are of, an offset or an id; taken out when they are met, so that none is put together twice. */
  readonly #deltas: Map<number | string, PackEntry[]> = new Map();

  constructor(pack: PackBytes, totalBytes: number) {
    this.#pack = pack;
    this.#totalBytes = totalBytes;
  }

  build(count: number, end: number, kinds: ReadonlySet<ObjectType>): ReadonlyMap<string, number> {
    const whole: { readonly entry: PackEntry; readonly type: ObjectType; readonly oid: string }[] = [];
    let offset = 12;
    for (let n = 0; n < count; n += 1) {
      const entry = entryAt(this.#pack, offset);
      this.#spend(entry.size);
      const inflated = inflateEntry(this.#pack, entry);
      if (entry.kind === 'delta') this.#addDelta(entry);
      else if (kinds.has(entry.kind))
        whole.push({ entry, type: entry.kind, oid: oidOf({ type: entry.kind, bytes: inflated.bytes }) });
      offset = inflated.end;
    }
    if (offset !== end) throw badPack();
    for (const { entry, type, oid } of whole) {
      this.#offsets.set(oid, entry.offset);
      const isBase = this.#deltas.has(entry.offset) || this.#deltas.has(oid);
      if (isBase) this.#follow({ entry, type, oid }, inflateEntry(this.#pack, entry).bytes, [1, 0]);
    }
    return this.#offsets;
  }

  #addDelta(entry: PackEntry): void {
    const base = entry.base ?? 0;
    const others = this.#deltas.get(base);
    if (others === undefined) this.#deltas.set(base, [entry]);
    else others.push(entry);
  }

  /** Puts together what is a delta of this object, and of those. */
  #follow(
    { entry, type, oid }: { readonly entry: PackEntry; readonly type: ObjectType; readonly oid: string },
    bytes: Buffer,
    [depth, held]: readonly [number, number],
  ): void {
    const deltas = [entry.offset, oid].flatMap((base) => this.#deltas.get(base) ?? []);
    this.#deltas.delete(entry.offset);
    this.#deltas.delete(oid);
    const nowHeld = held + bytes.length;
    if (deltas.length > 0 && (depth > maxChain || nowHeld > maxHeldBytes))
      throw new GitProblem('the repository has deltas of deltas that are too many or too long');
    for (const one of deltas) {
      const delta = inflateEntry(this.#pack, one).bytes;
      this.#spend(deltaSizes(delta).target);
      const made = applyDelta(bytes, delta);
      const madeOid = oidOf({ type, bytes: made });
      this.#offsets.set(madeOid, one.offset);
      this.#follow({ entry: one, type, oid: madeOid }, made, [depth + 1, nowHeld]);
    }
  }

  #spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent > this.#totalBytes)
      throw new GitProblem(
        `the repository has more than ${this.#totalBytes} bytes unpacked, four times policies.git.maxBytes`,
      );
  }
}
