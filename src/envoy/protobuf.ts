/** Reading protobuf messages field by field, without a schema and without copies. */

export const EMPTY: Buffer = Buffer.alloc(0);

/** A protobuf message being read: https://protobuf.dev/programming-guides/encoding/. Throws RangeError on truncation. */
export class Reader {
  private at = 0;
  private readonly buffer: Buffer;
  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }
  get done(): boolean {
    return this.at >= this.buffer.length;
  }
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.buffer[this.at++];
      if (byte === undefined) throw new RangeError('truncated varint');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new RangeError('varint too long');
  }
  bytes(): Buffer {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.buffer.length) throw new RangeError('truncated field');
    const slice = this.buffer.subarray(this.at, end);
    this.at = end;
    return slice;
  }
  text(): string {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.buffer.length) throw new RangeError('truncated field');
    const text = this.buffer.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }
  double(): number {
    if (this.at + 8 > this.buffer.length) throw new RangeError('truncated double');
    const value = this.buffer.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }
  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 2) {
      const length = this.varint();
      this.at += length;
    } else if (wireType === 5) this.at += 4;
    else throw new RangeError(`unsupported wire type ${wireType}`);
    if (this.at > this.buffer.length) throw new RangeError('truncated field');
  }
}

/** Visits the fields of a message; `visit` returns false for a field it does not read. */
export function fields(buffer: Buffer, visit: (field: number, reader: Reader, wireType: number) => boolean): void {
  const reader = new Reader(buffer);
  while (!reader.done) {
    const tag = reader.varint();
    const wireType = tag & 7;
    if (!visit(tag >>> 3, reader, wireType)) reader.skip(wireType);
  }
}

/** A `map<string, Message>` entry: its key and the undecoded value. */
export function messageEntry(buffer: Buffer): [string, Buffer] {
  let key = '';
  let value: Buffer = EMPTY;
  fields(buffer, (field, reader) => {
    if (field === 1) key = reader.text();
    else if (field === 2) value = reader.bytes();
    else return false;
    return true;
  });
  return [key, value];
}
