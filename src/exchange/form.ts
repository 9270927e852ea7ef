/** Reads what is percent-encoded: the body of a form (WHATWG URL, section 5.1) and the query of a URL. */
import type { Work } from './pace.ts';
import { decodeUtf8 } from './utf8.ts';

/** Bytes decoded in one step: a fraction of a millisecond. */
const sliceBytes = 64 * 1024;

const PERCENT = 0x25;
const LF = 0x0a;

/** Names and values in order, a line each; undefined: a percent sign without two digits, or what is not UTF-8. */
export function* formText(bytes: Uint8Array): Work<string | undefined> {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let until = sliceBytes;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === PERCENT) {
      const value = (digit(bytes[at + 1]) << 4) | digit(bytes[at + 2]);
      if (value < 0) return undefined;
      out[length++] = value;
      at += 2;
    } else out[length++] = byte === 0x2b ? 0x20 : byte === 0x26 || byte === 0x3d ? LF : byte;
    if (at < until) continue;
    until = at + sliceBytes;
    yield;
  }
  return yield* decodeUtf8(out.subarray(0, length));
}

/** Value of a hexadecimal digit; negative, also when shifted: none. */
function digit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
