/** From what was sent to text: strict, so that nobody else could read another message in it. */
import { malformed } from './refused.ts';
import { normalizeLineEnds } from './xml.ts';

/**
 * @param encoded `base64`: form field `SAMLResponse` (bindings §3.5.4), which may be wrapped into lines. `base64url`: RFC 7522 §2.1.
 * @param maxBytes Decoded.
 */
export function decodeMessage(encoded: string, encoding: 'base64' | 'base64url', maxBytes: number): string {
  // 3 bytes are 4 characters, and a wrapped line has 64 or 76 of them and two more.
  if (encoded.length > maxBytes * 1.4 + 4) throw malformed(`it is longer than ${maxBytes} bytes`);
  const text = encoding === 'base64' ? encoded.replace(/[\r\n]/g, '') : encoded.replace(/=+$/, '');
  const shape = encoding === 'base64' ? /^[A-Za-z0-9+/]+={0,2}$/ : /^[A-Za-z0-9_-]+$/;
  const bytes = Buffer.from(text, encoding);
  if (!shape.test(text) || bytes.toString(encoding) !== text) throw malformed(`it is not ${encoding}`);
  if (bytes.length > maxBytes) throw malformed(`it is longer than ${maxBytes} bytes`);
  try {
    return normalizeLineEnds(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw malformed('it is not UTF-8');
  }
}
