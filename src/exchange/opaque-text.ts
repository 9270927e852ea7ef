/** The text of bytes that say what they are. */
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
}

/** What a media type says that the bytes are; undefined: nothing that we read. Other charsets are bytes. */
export function textKind({ essence, charset = 'utf-8' }: MediaType): 'json' | 'form' | 'text' | undefined {
  if (charset !== 'utf-8' && charset !== 'us-ascii') return undefined;
  if (/[/+]json$/.test(essence)) return 'json';
  if (essence === 'application/x-www-form-urlencoded') return 'form';
  return essence.startsWith('text/') ? 'text' : undefined;
}

/** The text of bytes that say what they are; refused when they are not that. */
export function* declaredText(kind: 'json' | 'form' | 'text', bytes: Uint8Array): Work<Reading<OpaqueText>> {
  if (kind === 'json') {
    const json = yield* readingJson(bytes);
    if (!json.ok) return json;
    const words = new Words();
    yield* words.collect(json.value, everything);
    return found(words.text());
  }
  const text = kind === 'form' ? yield* formText(bytes) : yield* decodeUtf8(bytes);
  if (text !== undefined) return found(text);
  return invalid(kind === 'form' ? 'The form is not percent-encoded UTF-8.' : 'The text is not valid UTF-8.');
}

export function found(text: string, files = 0): Reading<OpaqueText> {
  return { ok: true, value: { text, files } };
}

export function invalid(message: string): Reading<never> & { ok: false } {
  return { ok: false, code: 'invalid_request', message };
}
