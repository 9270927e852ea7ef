import type { ContentChunk, Recorder } from '../record/events.ts';

/** Bytes that are put on the record in one step: a fraction of a millisecond. */
const PIECE_BYTES = 256 * 1024;

/**
 * Puts a text on the record: at once where it is short, else in pieces with a write between them, so that no step is long
 * and no more than a piece waits in memory. Returns the next `seq`, or a promise of it.
 */
export function recordText(recorder: Recorder, chunk: ContentChunk): number | Promise<number> {
  if (chunk.bytes.length > PIECE_BYTES) return recordPieces(recorder, chunk);
  recorder.content(chunk);
  return chunk.seq + 1;
}

async function recordPieces(recorder: Recorder, chunk: ContentChunk): Promise<number> {
  let { seq } = chunk;
  for (let at = 0; at < chunk.bytes.length; at += PIECE_BYTES) {
    recorder.content({ ...chunk, seq: seq++, bytes: chunk.bytes.subarray(at, at + PIECE_BYTES) });
    await recorder.written();
  }
  return seq;
}
