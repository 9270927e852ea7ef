import type { TextMasker } from './contract.ts';
import type { Findings } from './findings.ts';

/**
 * The inside of one JSON string, masked decoded and spelled as it was. As long as nothing is escaped, the text is its
 * own spelling. From the first escape on it goes through the masker one unit at a time, so that the spelling of what is
 * held is known, and what comes out does not depend on how the text was cut.
 */
export class EscapedString {
  private readonly masker: TextMasker;
  /** The end of the text: what the masker holds. */
  private tail = '';
  /** Once there was an escape: the spelling of each unit of `tail`. */
  private spelling: string[] | undefined;

  /** `before`: what stands before the string (contract.ts). */
  constructor(findings: Findings, before = '') {
    this.masker = findings.masker(before);
  }

  get held(): number {
    return this.masker.held;
  }

  /** A piece without escapes and quotes. Control characters are not JSON, but models write them: they are kept as they are. */
  push(text: string): string {
    if (this.spelling === undefined && !hasControl(text)) {
      const out = this.masker.push(text);
      this.tail = lastOf(this.tail + text, this.masker.held);
      return jsonInside(out);
    }
    let out = '';
    for (let i = 0; i < text.length; i++) out += this.unit(text[i]!, text[i]!);
    return out;
  }

  /** A whole escape, such as `\n` or `\u00e9`. */
  pushEscape(spelled: string): string {
    return this.unit(unitOfEscape(spelled), spelled);
  }

  end(): string {
    const out = this.masker.end();
    return out === this.tail && this.spelling !== undefined ? this.spelling.join('') : jsonInside(out);
  }

  private unit(unit: string, spelled: string): string {
    this.spelling ??= this.tail.split('');
    this.tail += unit;
    this.spelling.push(spelled);
    const out = this.masker.push(unit);
    const gone = Math.max(0, this.tail.length - this.masker.held);
    const untouched = this.tail.slice(0, gone) === out;
    this.tail = this.tail.slice(gone);
    const spelling = this.spelling.splice(0, gone);
    return untouched ? spelling.join('') : jsonInside(out);
  }
}

const simple: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** The UTF-16 unit that a whole escape stands for. */
export function unitOfEscape(spelled: string): string {
  const code = spelled[1]!;
  return code === 'u' ? String.fromCharCode(Number.parseInt(spelled.slice(2), 16)) : simple[code]!;
}

/** Whether the text is a JSON escape, may become one, or cannot. Surrogates are units of their own. */
export function isEscape(text: string): 'begun' | 'whole' | 'not' {
  if (text.length === 2) return text[1] === 'u' ? 'begun' : text[1]! in simple ? 'whole' : 'not';
  if (!/^\\u[0-9A-Fa-f]{1,4}$/.test(text)) return 'not';
  return text.length === 6 ? 'whole' : 'begun';
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20) return true;
  return false;
}

function lastOf(text: string, count: number): string {
  return count === 0 ? '' : text.slice(-count);
}

/** The text as the inside of a JSON string. */
export function jsonInside(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x20 || c === 0x22 || c === 0x5c) return JSON.stringify(text).slice(1, -1);
  }
  return text;
}

/** Where a piece of a text may end that should end at `end`: not between the halves of a surrogate pair. */
export function wholeEnd(text: string, end: number): number {
  if (end >= text.length) return text.length;
  return (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end + 1 : end;
}
