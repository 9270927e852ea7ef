/** The text that a span of a JSON string's inside stands for. The span must have been read by the lexer. */
export function unescapeJson(raw: string): string {
  return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
}

/**
 * A text in which every backslash is read as the most lenient parser of JSON would (JSON5, ECMAScript): nothing else of
 * the text has to be JSON.
 */
export function unescapeLeniently(text: string): string {
  return text.replace(lenientEscape, (spelled: string, u?: string, x?: string, octal?: string) => {
    const hex = u ?? x;
    if (hex !== undefined) return codePoint(Number.parseInt(hex.replace(/[{}]/g, ''), 16));
    if (octal !== undefined) return codePoint(Number.parseInt(octal, 8));
    const c = spelled.slice(1);
    if (/^[\r\n\u2028\u2029]/.test(c)) return '';
    return simpleEscapes[c] ?? c;
  });
}

const lenientEscape = /\\(?:u([0-9a-f]{4}|\{[0-9a-f]{1,6}\})|x([0-9a-f]{2})|([0-3]?[0-7]{1,2})|\r\n|[\s\S])/gi;
const simpleEscapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function codePoint(code: number): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
}

/** Length of the escape at `i` (a surrogate pair is one), −1: no such escape, −2: a lone surrogate. */
export function escapeLength(text: string, i: number): number {
  switch (text.charCodeAt(i + 1)) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return 2;
    case 0x75: {
      const unit = hex4(text, i + 2);
      if (unit < 0) return -1;
      if (unit < 0xd800 || unit > 0xdfff) return 6;
      if (unit > 0xdbff) return -2;
      if (text.charCodeAt(i + 6) !== 0x5c || text.charCodeAt(i + 7) !== 0x75) return -2;
      const low = hex4(text, i + 8);
      return low >= 0xdc00 && low <= 0xdfff ? 12 : -2;
    }
    default:
      return -1;
  }
}

function hex4(text: string, from: number): number {
  let value = 0;
  for (let i = from; i < from + 4; i++) {
    const c = text.charCodeAt(i);
    const digit = c >= 0x30 && c <= 0x39 ? c - 0x30 : (c | 0x20) >= 0x61 && (c | 0x20) <= 0x66 ? (c | 0x20) - 0x57 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}
