/** The text of bytes, by what they say that they are. */
import type { Reading } from './facts.ts';
import { formText } from './form.ts';
import { readingJson } from './json.ts';
import type { MediaType } from './media.ts';
import type { Work } from './pace.ts';
import { textRules } from './text-rules.ts';
import { decodeUtf8 } from './utf8.ts';
import { Words } from './words.ts';

/** Every string, every name, and every number that is long enough to be one of a card. */
const everything = textRules({});

/** Text of a body or of a part of one, and the files in it. */
export interface OpaqueText {
  readonly text: string;
  readonly files: number;
  /** Whether its bytes may say more than the text does. */
  readonly unread: boolean;
}

/** What bytes are read as. `bytes`: text where they are UTF-8; `unknown`: as well, and nobody here knows what else they say. */
export type TextKind = 'json' | 'form' | 'text' | 'latin1' | 'xml' | 'bytes' | 'unknown';

/** Names of charsets that we read (WHATWG Encoding, section 4.2). What says ASCII is UTF-8, and must be. */
const charsets: ReadonlyMap<string, 'utf-8' | 'latin1'> = new Map([
  ...['utf-8', 'utf8', 'ascii', 'us-ascii', 'iso646-us', 'ansi_x3.4-1968'].map((name) => [name, 'utf-8'] as const),
  ...['iso-8859-1', 'iso8859-1', 'iso_8859-1', 'iso88591', 'latin1', 'latin-1', 'l1', 'windows-1252', 'cp1252'].map(
    (name) => [name, 'latin1'] as const,
  ),
]);

/** Whether a charset is UTF-8, or ASCII, by one of its names. */
export function isUtf8Name(charset: string): boolean {
  return charsets.get(charset.trim().toLowerCase()) === 'utf-8';
}

/** What bytes of a media type are read as; undefined: of none. */
export function textKind(media: MediaType | undefined): TextKind {
  if (media === undefined) return 'bytes';
  const { essence } = media;
  const charset = charsets.get(media.charset ?? 'utf-8');
  if (charset === undefined) return 'unknown';
  // Whatever charset they say: readers take these two for UTF-8 (RFC 8259, section 8.1; WHATWG URL, section 5.1).
  if (/[/+]json$/.test(essence)) return 'json';
  if (essence === 'application/x-www-form-urlencoded') return 'form';
  if (/[/+]xml$/.test(essence)) return 'xml';
  if (essence.startsWith('text/')) return charset === 'latin1' ? 'latin1' : 'text';
  return essence === 'application/octet-stream' ? 'bytes' : 'unknown';
}

/** The text of bytes; refused when they say that they are JSON, a form or text in UTF-8, and are not. */
export function* textOfBytes(kind: TextKind, bytes: Uint8Array): Work<Reading<OpaqueText>> {
  switch (kind) {
    case 'json': {
      const words = yield* jsonWords(bytes);
      return words.ok ? found(words.value) : words;
    }
    case 'form': {
      const text = yield* formText(bytes);
      return text === undefined ? invalid('The form is not percent-encoded UTF-8.') : found(text);
    }
    case 'latin1':
      return found(yield* latin1Text(bytes));
    case 'text': {
      const text = yield* decodeUtf8(bytes);
      return text === undefined ? invalid('The text is not valid UTF-8.') : yield* plainText(bytes, text);
    }
    case 'xml': {
      const text = yield* decodeUtf8(bytes);
      return text === undefined ? found('', 0, true) : found(text, 0, hidesInXml(text));
    }
    default: {
      const bare = yield* withoutNuls(bytes);
      const text = yield* decodeUtf8(bare);
      if (text === undefined) return found('', 0, true);
      const reading = yield* plainText(bare, text);
      const unread = kind === 'unknown' || bare !== bytes || (reading.ok && reading.value.unread);
      return reading.ok ? found(reading.value.text, 0, unread) : reading;
    }
  }
}

/** Zeros say nothing: they are half of what is ASCII in UTF-16, and fill files of bytes. */
function* withoutNuls(bytes: Uint8Array): Work<Uint8Array> {
  if (!bytes.includes(0)) return bytes;
  const out = new Uint8Array(bytes.byteLength);
  let length = 0;
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at]!;
    if (byte !== 0) out[length++] = byte;
    if (at % sliceBytes === sliceBytes - 1) yield;
  }
  return out.subarray(0, length);
}
/** Bytes looked at in one step: a fraction of a millisecond. */
const sliceBytes = 64 * 1024;

/** Text as it stands, and what its escapes say where it is JSON that does not say so. */
function* plainText(bytes: Uint8Array, text: string): Work<Reading<OpaqueText>> {
  if (!text.includes('\\') || !/^[\s\ufeff]{0,1024}[[{]/.test(text)) return found(text);
  const words = yield* jsonWords(bytes);
  // What begins like JSON and has escapes: a server that is less strict may read it, and we do not.
  return words.ok ? found(`${text}\n${words.value}`) : found(text, 0, text.includes('\\u'));
}

/** Comments, CDATA and entities split words; references hide characters; another encoding hides everything. */
function hidesInXml(text: string): boolean {
  if (text.includes('&#') || text.includes('<!')) return true;
  if (!/^\ufeff?<\?xml/.test(text)) return false;
  const declaration = text.slice(0, mostDeclaration).split('?>', 1)[0]!;
  const named = /\sencoding\s*=\s*["']([^"']*)["']/.exec(declaration)?.[1];
  return (
    declaration.length === mostDeclaration || !isUtf8Name(named ?? (declaration.includes('encoding') ? '' : 'utf-8'))
  );
}
/** An XML declaration is shorter, if it is one. */
const mostDeclaration = 256;

function* jsonWords(bytes: Uint8Array): Work<Reading<string>> {
  const json = yield* readingJson(bytes);
  if (!json.ok) return json;
  const words = new Words();
  yield* words.collect(json.value, everything);
  return { ok: true, value: words.text() };
}

/** Many servers read UTF-8, whatever was said: where the bytes are that, too, and differ, both. */
function* latin1Text(bytes: Uint8Array): Work<string> {
  const utf8 = yield* decodeUtf8(bytes);
  if (utf8?.length === bytes.byteLength) return utf8;
  yield;
  const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  yield;
  return utf8 === undefined ? latin1 : `${latin1}\n${utf8}`;
}

export function found(text: string, files = 0, unread = false): Reading<OpaqueText> {
  return { ok: true, value: { text, files, unread } };
}

export function invalid(message: string): Reading<never> & { ok: false } {
  return { ok: false, code: 'invalid_request', message };
}
