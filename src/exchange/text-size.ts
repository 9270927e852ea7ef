/** How long texts are, and how many tokens that comes to where nobody reports them. */
import type { Work } from './pace.ts';

/** Characters (UTF-16 units) put together and counted in one step: a quarter of a millisecond. */
const sliceLength = 256 * 1024;
/** English is about 4 characters a token, and of ASCII; other scripts have fewer characters a token, and more bytes each. */
const bytesPerToken = 4;

/** Length in UTF-8, bytes. A long text is put together and counted in slices. */
export function* utf8Length(text: string): Work<number> {
  if (text.length <= sliceLength) return Buffer.byteLength(text);
  yield 'long';
  let bytes = 0;
  for (let at = 0; at < text.length; at += sliceLength) {
    bytes += Buffer.byteLength(text.slice(at, at + sliceLength));
    yield;
  }
  return bytes;
}

/** Tokens of a text of so many bytes of UTF-8, estimated: about 4 characters a token in English, one or two in Chinese. */
export function estimatedTokens(bytes: number): number {
  return Math.ceil(Math.max(0, bytes) / bytesPerToken);
}
