/**
 * Reads multipart/form-data (RFC 7578, RFC 2046 section 5.1) more strictly than they ask: what any two readers could take
 * apart differently is refused. The boundary stands nowhere but between parts, lines end with CRLF, there is nothing
 * before the first part and after the last, and a part has one Content-Disposition with one name.
 */
import type { Reading } from './facts.ts';
import { parseMediaType } from './media.ts';
import { found, invalid, isUtf8Name, type OpaqueText, textKind, textOfBytes } from './opaque-text.ts';
import type { Work } from './pace.ts';
import { Words } from './words.ts';

const mostParts = 1000;
const mostHeaderBytes = 4 * 1024;
/** RFC 2046, section 5.1.1; without the space, which some readers cut. */
const boundaryShape = /^[0-9A-Za-z'()+_,\-./:=?]{1,70}$/;
const CRLF = '\r\n';

interface Part {
  readonly name: string;
  readonly fileName: string | undefined;
  readonly contentType: string | undefined;
}

/** Names of fields and files, the values of fields, and files that are text. */
export function* multipartText(boundary: string | undefined, body: Uint8Array): Work<Reading<OpaqueText>> {
  if (boundary === undefined || !boundaryShape.test(boundary)) return malformed('its boundary is missing or malformed');
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const contents = cut(bytes, `--${boundary}`);
  if (typeof contents === 'string') return malformed(contents);
  const words = new Words();
  let files = 0;
  let unread = false;
  for (const content of contents) {
    yield;
    const end = content.subarray(0, mostHeaderBytes).indexOf(CRLF + CRLF);
    const part = end < 0 ? 'a part has no headers, or too many' : readHeaders(content.toString('latin1', 0, end));
    if (typeof part === 'string') return malformed(part);
    words.add(part.name);
    words.add(part.fileName ?? '');
    const reading = yield* partText(part, content.subarray(end + 4));
    if (!reading.ok) return reading;
    files += reading.value.files;
    unread ||= reading.value.unread;
    words.add(reading.value.text);
  }
  return found(words.text(), files, unread);
}

/** The parts, each from its headers on; or what is wrong. */
function cut(bytes: Buffer, delimiter: string): Buffer[] | string {
  const parts: Buffer[] = [];
  if (bytes.indexOf(delimiter) !== 0) return 'it does not begin with its boundary';
  for (let at = 0; ; ) {
    const after = at + delimiter.length;
    const sign = bytes.toString('latin1', after, after + 2);
    if (sign === '--') {
      const rest = bytes.toString('latin1', after + 2, after + 5);
      return rest === '' || rest === CRLF ? parts : 'something follows its last boundary';
    }
    if (sign !== CRLF) return 'a boundary is not a line of its own';
    const next = bytes.indexOf(delimiter, after);
    if (next < 0) return 'its last boundary is missing';
    if (bytes.toString('latin1', next - 2, next) !== CRLF) return 'a boundary is not a line of its own';
    if (parts.length === mostParts) return `it has more than ${mostParts} parts`;
    parts.push(bytes.subarray(after + 2, Math.max(after + 2, next - 2)));
    at = next;
  }
}

function readHeaders(text: string): Part | string {
  let disposition: string | undefined;
  let contentType: string | undefined;
  for (const line of text.split(CRLF)) {
    const [, name = '', value = ''] = /^([A-Za-z-]{1,64}):[ \t]*([^\r\n\0]*)$/.exec(line) ?? [];
    const lower = name.toLowerCase();
    if (lower === 'content-disposition' && disposition === undefined) disposition = value;
    else if (lower === 'content-type' && contentType === undefined) contentType = value;
    // Other headers of a part mean nothing (RFC 7578, section 4.8), or another encoding of it.
    else if (lower !== 'content-length') return 'a part has a header that is unknown, doubled or malformed';
  }
  const [, name, fileName] = disposition === undefined ? [] : (dispositionShape.exec(disposition) ?? []);
  if (name === undefined) return 'a part has no Content-Disposition that is understood';
  // What has no name of its own is a file to some readers, and a field to others.
  if (fileName !== undefined && /(?:^|\/)\s*$/.test(fileName)) return 'the name of a file is empty';
  return { name: utf8(name), fileName: fileName === undefined ? undefined : utf8(fileName), contentType };
}

/** Quoted, without escapes: readers differ in what a backslash means. RFC 7578 section 4.2 forbids `filename*`. */
const dispositionShape = /^form-data; ?name="([^"\\]*)"(?:; ?filename="([^"\\]*)")?$/i;

/** Percent signs are left as they are: RFC 7578, section 2, has some clients write `%22` for a quote. */
function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/** A field is text, whatever its type; a file is what it says. */
function* partText({ name, fileName, contentType }: Part, bytes: Buffer): Work<Reading<OpaqueText>> {
  const media = contentType === undefined ? undefined : parseMediaType(contentType);
  if (contentType !== undefined && media === undefined) return malformed('a part has a malformed Content-Type');
  // RFC 7578, section 4.6: the charset of all fields, where a reader knows of it.
  if (name.toLowerCase() === '_charset_' && !isUtf8Name(bytes.toString('latin1', 0, 64)))
    return malformed('its fields are in another charset');
  const isFile = fileName !== undefined;
  const kind = textKind(media);
  const reading = yield* textOfBytes(!isFile && (kind === 'bytes' || kind === 'unknown') ? 'text' : kind, bytes);
  if (!reading.ok) return reading;
  const { text, unread } = reading.value;
  // Some readers take a part of this type for a file, whether it has the name of one or not.
  const files = isFile || media?.essence === 'application/octet-stream' ? 1 : 0;
  return found(text, files, unread || kind === 'unknown');
}

function malformed(why: string): Reading<never> & { ok: false } {
  return invalid(`The body is no multipart/form-data that can be read in one way only: ${why}.`);
}
