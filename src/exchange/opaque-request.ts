/** What can be said of a request that is read by no format: its length, its files, and its text where it is text. */
import type { Reading, RequestFacts } from './facts.ts';
import { formText } from './form.ts';
import { checkEncoding, parseMediaType, type RequestMedia } from './media.ts';
import { multipartText } from './multipart.ts';
import { found, invalid, type OpaqueText, textKind, textOfBytes } from './opaque-text.ts';
import type { Work } from './pace.ts';
import { estimatedTokens, utf8Length } from './text-size.ts';

/**
 * Reads what is text: the query, JSON, form fields, `text/*`, XML, of multipart/form-data the fields, the names, and the
 * files that are text, and whatever else is UTF-8. What says that it is text and is not, or could be read in two ways, is
 * refused; where the bytes may say more than the text, `unread` says so.
 */
export function* opaqueFacts(media: RequestMedia, body: Uint8Array): Work<Reading<RequestFacts>> {
  const encoded = checkEncoding(media.contentEncoding);
  if (encoded !== undefined) return encoded;
  const query = yield* formText(Buffer.from(media.query ?? '', 'latin1'));
  if (query === undefined) return invalid('The query of the URL is not percent-encoded UTF-8.');
  const reading = yield* textOf(media.contentType, body);
  if (!reading.ok) return reading;
  const { files, unread } = reading.value;
  const text =
    query === '' || reading.value.text === '' ? query + reading.value.text : `${query}\n${reading.value.text}`;
  return {
    ok: true,
    value: {
      format: 'opaque',
      operation: 'opaque',
      model: '',
      stream: false,
      choices: 1,
      system: '',
      messages: [],
      text,
      tools: [],
      toolCall: undefined,
      images: 0,
      audio: 0,
      files,
      unread,
      maxTokens: undefined,
      parameters: new Map(),
      tokens: estimatedTokens(yield* utf8Length(text)),
      bytes: body.byteLength,
    },
  };
}

function* textOf(contentType: string | undefined, body: Uint8Array): Work<Reading<OpaqueText>> {
  if (body.byteLength === 0) return found('');
  const media = contentType === undefined ? undefined : parseMediaType(contentType);
  if (contentType !== undefined && media === undefined) return invalid('The Content-Type header is malformed.');
  if (media?.essence === 'multipart/form-data') return yield* multipartText(media.boundary, body);
  return yield* textOfBytes(textKind(media), body);
}
