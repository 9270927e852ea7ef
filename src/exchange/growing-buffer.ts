/** Bytes that wait for the rest of their event or line. Appending costs what is appended, however small the pieces are. */
export class GrowingBuffer {
  private bytes: Buffer = Buffer.alloc(0);
  length = 0;

  append(chunk: Uint8Array): void {
    const need = this.length + chunk.length;
    if (need > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(1024, 2 * need));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    this.bytes.set(chunk, this.length);
    this.length = need;
  }

  /** All bytes, without copying them: good until the next call. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  /** The first `count` bytes, as a copy, taken out. */
  take(count: number): Buffer {
    const taken = Buffer.from(this.bytes.subarray(0, count));
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
    // One long event must not cost its memory for the rest of the stream, whatever of the next one is there already.
    if (this.bytes.length > 16 * 1024 && this.length < this.bytes.length / 4) {
      const rest = this.bytes.subarray(0, this.length);
      this.bytes = Buffer.allocUnsafeSlow(this.length);
      rest.copy(this.bytes);
    }
    return taken;
  }
}
