import { paced, type Work } from '../exchange/pace.ts';
import type { BodyMasker, ClosingError, Released } from './contract.ts';
import { joined } from './joined.ts';

/** Bytes of a stream that are masked together: some 2 ms at most of what is not paced. */
const PIECE_BYTES = 128 * 1024;

/**
 * Hands long chunks to another masker in pieces: what comes out does not depend on how the stream was cut. An answer that is
 * faster than the reply to its headers comes as one chunk of megabytes.
 */
export class PiecewiseMasker implements BodyMasker {
  private readonly inner: BodyMasker;
  /** What became of the pieces of a long chunk so far. */
  private parts: Buffer[] = [];

  constructor(inner: BodyMasker) {
    this.inner = inner;
  }

  get findings() {
    return this.inner.findings;
  }

  get usage() {
    return this.inner.usage;
  }

  push(chunk: Uint8Array): Released | Promise<Released> {
    return chunk.length <= PIECE_BYTES ? this.inner.push(chunk) : this.pushLong(chunk);
  }

  end(): Released | Promise<Released> {
    return this.inner.end();
  }

  async salvage(): Promise<Buffer> {
    return paced(joined([...this.parts, await this.inner.salvage()]));
  }

  closing(error: ClosingError, begun: boolean): Buffer | undefined {
    return this.inner.closing(error, begun);
  }

  private async pushLong(chunk: Uint8Array): Promise<Released> {
    const { parts } = this;
    let terminal = false;
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const released = await paced(pushed(this.inner, chunk.subarray(at, at + PIECE_BYTES)));
      parts.push(released.bytes);
      terminal ||= released.terminal;
    }
    this.parts = [];
    return { bytes: await paced(joined(parts)), terminal };
  }
}

/** Even what a masker does at once counts: without this, a chunk whose event is not over would be read in one turn. */
// biome-ignore lint/correctness/useYield: work of one step.
function* pushed(inner: BodyMasker, piece: Uint8Array): Work<Released | Promise<Released>> {
  return inner.push(piece);
}
