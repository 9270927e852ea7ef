/**
 * What the shipper hands to the store. `insert` must be idempotent by (writer, leaf) for events and by (session,
 * direction, seq) for contents, and resolves only when the store has the rows durably.
 */
import type { ContentRecord, EventRecord, Frame } from './codec.ts';
import { recordOf } from './codec.ts';
import { type Damage, readFrames, type SegmentFile } from './reader.ts';

export interface RecordBatch {
  readonly events: readonly EventRecord[];
  readonly contents: readonly ContentRecord[];
  /** Bytes of the frames. */
  readonly bytes: number;
}

/** The part of the store that the shipper needs. */
export interface RecordSink {
  /**
   * Rejects with an error whose `code` says what to do: `engine_died` (in the middle of this batch) and
   * `batch_rejected` (the data itself was refused) count towards quarantine; any other is an outage.
   */
  insert(batch: RecordBatch): Promise<void>;
}

/** A batch and where it lies in its segment. */
export interface ReadBatch extends RecordBatch {
  readonly from: number;
  readonly to: number;
  readonly damage: readonly Damage[];
}

/** Reads the next batch between two offsets of a segment: at least one frame, at most `maxRecords` and `maxBytes`. */
export async function readBatch(
  segment: SegmentFile,
  range: { readonly from: number; readonly to: number },
  limits: { readonly maxRecords: number; readonly maxBytes: number },
): Promise<ReadBatch> {
  const events: EventRecord[] = [];
  const contents: ContentRecord[] = [];
  const damage: Damage[] = [];
  let bytes = 0;
  let at = range.from;
  const take = (frame: Frame): boolean => {
    const record = recordOf(frame, segment.header!.writer);
    if (record !== undefined) {
      const size = frame.end - frame.offset;
      const count = events.length + contents.length;
      if (count >= limits.maxRecords || (count > 0 && bytes + size > limits.maxBytes)) return false;
      if (record.kind === 'event') events.push(record);
      else contents.push(record);
      bytes += size;
    }
    at = frame.end;
    return true;
  };
  for await (const frames of readFrames(segment, range.from, range.to)) {
    for (const frame of frames) {
      if ('kind' in frame) {
        damage.push(frame);
        at = frame.to;
      } else if (!take(frame)) return { events, contents, bytes, damage, from: range.from, to: at };
    }
  }
  return { events, contents, bytes, damage, from: range.from, to: Math.max(at, range.to) };
}
