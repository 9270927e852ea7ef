/**
 * What a restart finds. Only the last segment is read (it begins with the sessions that were open). Its tail beyond the
 * last offset known to be synced may be torn: it is cut. Damage before that offset is corruption: the segment stays as
 * it is, the damage is reported, and a new log begins, since nobody knows where the old one ended.
 */
import { mkdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { commitOf, frameType, recordOf } from './codec.ts';
import type { JournalDisk } from './disk.ts';
import type { EndEvent, ResponseEvent } from './events.ts';
import { startWriter } from './folder.ts';
import type { ShippedPosition } from './position.ts';
import { type Damage, openSegment, readFrames, type SegmentFile } from './reader.ts';
import { listSegments, segmentHeaderBytes, segmentPath } from './segment.ts';
import type { OpenSessions } from './sessions.ts';

/** For the log and the operator: what was found, and what was done about it. */
export interface RecoveryReport {
  /** Unsynced bytes of a torn tail that were cut. */
  readonly cut: { readonly segment: number; readonly offset: number; readonly bytes: number } | undefined;
  readonly damage: readonly Damage[];
  /** Segments without a readable header, moved to `fenced/`. */
  readonly fenced: readonly string[];
  /** The id of the log that could not be continued, when a new one was begun. */
  readonly abandonedWriter: string | undefined;
  /** Sessions that a dead process left open; each gets an `end` with how `unknown`. */
  readonly unended: number;
}

export interface Recovered {
  readonly writer: string;
  readonly nextLeaf: number;
  readonly nextSegment: number;
  readonly previousLength: number;
  readonly segments: ReadonlyMap<number, number>;
  readonly endings: readonly EndEvent[];
  readonly report: RecoveryReport;
}

interface Scan {
  readonly writer: string;
  readonly end: number;
  readonly nextLeaf: number;
  readonly damage: readonly Damage[];
  readonly cut: RecoveryReport['cut'];
  readonly endings: readonly EndEvent[];
}

export async function recover(
  dir: string,
  writer: string,
  position: ShippedPosition | undefined,
  disk: JournalDisk,
  noSessions: () => OpenSessions,
): Promise<Recovered> {
  const fenced: string[] = [];
  const numbers = await listSegments(dir);
  const highest = Math.max(numbers.at(-1) ?? 0, position?.segment ?? 0);
  let scan: Scan | undefined;
  while (numbers.length > 0 && scan === undefined) {
    scan = await scanLast(dir, numbers.at(-1)!, position, disk, noSessions);
    if (scan !== undefined) break;
    const number = numbers.pop()!;
    // A file shorter than a header was torn at its creation: nothing was ever committed to it.
    const { size } = await stat(segmentPath(dir, number));
    const kept = await fence(dir, number, disk);
    if (size >= segmentHeaderBytes) fenced.push(kept);
  }
  const last = numbers.at(-1);
  const segments = new Map<number, number>();
  for (const number of numbers)
    segments.set(number, number === last ? scan!.end : (await stat(segmentPath(dir, number))).size);
  const broken = fenced.length > 0 || (scan?.damage.length ?? 0) > 0 || (scan !== undefined && scan.writer !== writer);
  const resumed = broken ? await startWriter(dir) : writer;
  const shippedLeaf = position?.writer === resumed ? position.nextLeaf : 0;
  return {
    writer: resumed,
    nextLeaf: broken ? 0 : Math.max(scan?.nextLeaf ?? 0, shippedLeaf),
    nextSegment: highest + 1,
    previousLength: last === highest ? scan!.end : 0,
    segments,
    endings: scan?.endings ?? [],
    report: {
      cut: scan?.cut,
      damage: scan?.damage ?? [],
      fenced,
      abandonedWriter: broken ? writer : undefined,
      unended: scan?.endings.length ?? 0,
    },
  };
}

/** Moves a segment out of the way, for a human to look at. Its bytes are kept. */
export async function fence(dir: string, number: number, disk: JournalDisk): Promise<string> {
  const folder = join(dir, 'fenced');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = segmentPath(dir, number);
  const kept = join(folder, basename(path));
  await rename(path, kept);
  await disk.syncFolder(folder);
  await disk.syncFolder(dir);
  return kept;
}

/** Reads the last segment, cuts its torn tail and syncs the rest. Undefined: it has no readable header. */
async function scanLast(
  dir: string,
  number: number,
  position: ShippedPosition | undefined,
  disk: JournalDisk,
  noSessions: () => OpenSessions,
): Promise<Scan | undefined> {
  const segment = await openSegment(dir, number);
  try {
    if (segment.header === undefined) return undefined;
    const shipped = position?.segment === number ? position.offset : 0;
    const { synced, damage } = await findDamage(segment, shipped);
    const torn = damage.find((stretch) => stretch.from >= synced);
    const end = torn?.from ?? segment.size;
    const corrupt = damage.filter((stretch) => stretch.from < synced);
    const { sessions, nextLeaf } = await replay(segment, end, noSessions());
    // The process may have been killed before its last sync: what is taken up now must be as durable as the rest.
    await disk.truncate(segmentPath(dir, number), end);
    return {
      writer: segment.header.writer,
      end,
      nextLeaf,
      damage: corrupt,
      cut: torn === undefined ? undefined : { segment: number, offset: end, bytes: segment.size - end },
      endings: sessions.endings(segment.header.writer),
    };
  } finally {
    await segment.file.close();
  }
}

/** Every damaged stretch, and the highest offset that is known to have been synced. */
async function findDamage(segment: SegmentFile, atLeast: number): Promise<{ synced: number; damage: Damage[] }> {
  let synced = atLeast;
  const damage: Damage[] = [];
  for await (const frames of readFrames(segment, 0, segment.size)) {
    for (const frame of frames) {
      if ('kind' in frame) damage.push(frame);
      else synced = Math.max(synced, commitOf(frame, segment.header!.salt)?.synced ?? 0);
    }
  }
  if (synced > segment.size)
    damage.push({ kind: 'damage', reason: 'unreadable', segment: segment.number, from: segment.size, to: synced });
  return { synced, damage };
}

/** The request that a `response` event cites. */
const citedBy = (body: Buffer): ResponseEvent['request'] =>
  (JSON.parse(body.toString('utf8')) as ResponseEvent).request;

async function replay(
  segment: SegmentFile,
  end: number,
  sessions: OpenSessions,
): Promise<{ sessions: OpenSessions; nextLeaf: number }> {
  let nextLeaf = segment.header!.firstLeaf;
  for await (const frames of readFrames(segment, 0, end)) {
    for (const frame of frames) {
      if ('kind' in frame) continue;
      if (frame.type === frameType.open) sessions.decode(frame.payload);
      const record = recordOf(frame, segment.header!.writer);
      if (record?.kind === 'content') sessions.content(record);
      if (record?.kind !== 'event') continue;
      nextLeaf = Math.max(nextLeaf, record.leaf + 1);
      if (record.type === '') continue;
      const { type, session, at } = record;
      const request = type === 'response' ? citedBy(record.body) : undefined;
      sessions.event({ type, session, at, request }, record.leaf);
    }
  }
  return { sessions, nextLeaf };
}
