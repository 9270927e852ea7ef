/** The text that a span of a JSON string's inside stands for. The span must have been read by the lexer. */
export function unescapeJson(raw: string): string {
  return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
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
