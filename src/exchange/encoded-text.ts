/**
 * Files in base64 that are text: a model reads their words, so the gate does, whatever the request calls them. Media tells
 * itself by how it begins, and no more than that is looked at; words behind such a beginning are not seen.
 */
import type { Check } from './check.ts';
import { isMediaMagic } from './magic.ts';
import type { Work } from './pace.ts';
import { isMedia, type Treatment } from './text-rules.ts';

/** What a file in base64 is. */
export type Decoded =
  /** `exact`: all of it is text in UTF-8 or UTF-16; else it has bytes that are not, each U+FFFD in the text. */
  | { readonly kind: 'text'; readonly text: string; readonly exact: boolean }
  /** An image, sound, a PDF, an office file: known by its first bytes. */
  | { readonly kind: 'media' }
  /** Nobody knows: sound without a header, what is encrypted. */
  | { readonly kind: 'bytes' };

/** Characters decoded in one step: four of them are three bytes. */
const sliceLength = 64 * 1024;
/** Characters looked at to tell what a file is: at its beginning, and at each of some places further on. */
const headLength = 1024;
const sampleLength = 256;
const samples = [0.25, 0.5, 0.75, 1];
/** Shorter ones are text only where all of it is: words that look like base64 decode to a few odd characters. */
const shortest = 256;

const textType =
  /^(?:text\/|application\/(?:[\w.-]+\+)?(?:json|x-ndjson|ndjson|jsonl|xml|yaml|x-yaml|javascript|x-javascript|typescript|sql|rtf|x-sh|x-python|toml|csv)\b)/i;
const dataUrlHead = /^data:[^,]{0,1000};base64,/i;

/** Whether files of this media type are words, not encoded media. */
export function isTextType(mediaType: string): boolean {
  return textType.test(mediaType.trim());
}

/** What a string in base64 holds (a data URL, or the bare data; as lenient as decoders are about other characters in it). */
export function* decodedFile(value: string): Work<Decoded> {
  const from = dataUrlHead.exec(value.slice(0, 1024))?.[0].length ?? 0;
  const head = bytesOf(value.slice(from, from + headLength));
  const encoding = encodingOf(head);
  const isText = textIn(head, encoding).bad === 0;
  if (isMediaMagic(head)) {
    const whole = isText ? yield* wholeText(value, from, encoding, true) : undefined;
    return whole === undefined ? { kind: 'media' } : { kind: 'text', text: whole, exact: true };
  }
  const isLong = value.length - from >= shortest;
  const mayBeText = isLong ? isText || looksLikeText(value, from, encoding) : isText;
  if (head.length === 0 || !mayBeText) return { kind: 'bytes' };
  const exact = yield* wholeText(value, from, encoding, true);
  if (exact !== undefined) return { kind: 'text', text: exact, exact: true };
  const text = isLong ? yield* wholeText(value, from, encoding, false) : undefined;
  return text === undefined ? { kind: 'bytes' } : { kind: 'text', text, exact: false };
}

/** A string of a request that is masked nowhere and no words: media, and what the model's server alone can read. */
export function* isUnread(treatment: Treatment, text: string): Work<boolean> {
  if (!(yield* isMedia(treatment, text))) return false;
  const { kind } = yield* decodedFile(text);
  return kind === 'media' || (kind === 'bytes' && treatment === 'sealed');
}

/** What says that it is text must be it, all of it: else nobody knows what a model reads in it. */
export function* refuseUndecodable(check: Check, data: string, at: string): Work<void> {
  const decoded = yield* decodedFile(data);
  if (data !== '' && !(decoded.kind === 'text' && decoded.exact))
    check.complain(`Invalid '${at}': a text file must be UTF-8 in base64.`);
}

/** A field that is media or text by another field: as text it must not look like media, or its words would be passed over. */
export function* refuseDisguised(check: Check, text: string, at: string): Work<void> {
  if (yield* isMedia('binary', text)) check.complain(`Invalid '${at}': expected words, but got base64 data.`);
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** By its byte order mark, or since every other byte is zero (text in ASCII). */
function encodingOf(head: Uint8Array): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  let little = 0;
  let big = 0;
  const pairs = head.length >> 1;
  for (let at = 0; at < pairs * 2; at += 2) {
    if (isPrintable(head[at]!) && head[at + 1] === 0) little++;
    else if (head[at] === 0 && isPrintable(head[at + 1]!)) big++;
  }
  if (pairs > 0 && little > pairs * mostlyText) return 'utf-16le';
  return pairs > 0 && big > pairs * mostlyText ? 'utf-16be' : 'utf-8';
}

/** How much of random bytes is printable: 38 in 100. */
const mostlyText = 0.7;

const isPrintable = (code: number): boolean => (code >= 0x20 && code < 0x7f) || (code >= 0x09 && code <= 0x0d);

/** A piece of a file as text, and how many of its characters no text has. A character cut at its end is none. */
function textIn(bytes: Uint8Array, encoding: Encoding): { readonly bad: number; readonly length: number } {
  const text = new TextDecoder(encoding).decode(bytes, { stream: true });
  let bad = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0xfffd || code === 0x7f || (code < 0x20 && !isPrintable(code) && code !== 0x1b)) bad++;
  }
  return { bad, length: text.length };
}

/** Whether one of some places in it is mostly text: one bad byte, or a page of them, does not hide the rest. */
function looksLikeText(value: string, from: number, encoding: Encoding): boolean {
  const length = value.length - from;
  return [0, ...samples].some((share) => {
    const last = Math.max(0, length - sampleLength);
    const at = from + Math.floor((last * share) / 8) * 8;
    const { bad, length: characters } = textIn(bytesOf(value.slice(at, at + sampleLength)), encoding);
    return characters > 0 && bad < characters * (1 - mostlyText);
  });
}

/** All of the text; undefined where `fatal` and not all of it is text. */
function* wholeText(value: string, from: number, encoding: Encoding, fatal: boolean): Work<string | undefined> {
  const decoder = new TextDecoder(encoding, { fatal });
  let text = '';
  let rest = '';
  try {
    for (let at = from; at < value.length; at += sliceLength) {
      const quads = rest + value.slice(at, at + sliceLength).replace(notBase64, '');
      // What is padded is complete; more may stand behind it.
      const padded = quads.lastIndexOf('=') + 1;
      const whole = padded + ((quads.length - padded) & ~3);
      rest = quads.slice(whole);
      const piece = decoder.decode(bytesOf(quads.slice(0, whole)), { stream: true });
      // Text has no zeros.
      if (fatal && piece.includes('\0')) return undefined;
      text += piece;
      yield;
    }
    const end = decoder.decode(bytesOf(rest));
    return fatal && end.includes('\0') ? undefined : text + end;
  } catch {
    return undefined;
  }
}

const notBase64 = /[^A-Za-z0-9+/_=-]+/g;

/** The bytes of base64 in either alphabet; padding may stand between parts. */
function bytesOf(text: string): Uint8Array {
  const clean = text.replace(notBase64, '');
  const pad = clean.indexOf('=');
  if (pad < 0 || pad >= clean.length - 2) return Buffer.from(clean, 'base64');
  return Buffer.concat(
    clean
      .split(/=+/)
      .filter((part) => part !== '')
      .map((part) => Buffer.from(part, 'base64')),
  );
}
