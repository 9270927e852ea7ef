import { escapeLength, unescapeJson } from './json-escapes.ts';

/**
 * One strict JSON lexer (RFC 8259, with the strictness of I-JSON, RFC 7493): what two parsers could read differently is
 * refused, with its place. Works on decoded text, keeps its own stack, and can be stopped and resumed after any number
 * of characters, inside a string too. Values are built, or texts rewritten, by the handler.
 */
export interface JsonHandler {
  /** `{` or `[` at `start`. */
  open(kind: 'object' | 'array', start: number): void;
  /** Its closing bracket ends at `end` (exclusive). */
  close(kind: 'object' | 'array', end: number): void;
  /** A member's name; the span includes the quotes. */
  key(name: string, start: number, end: number): void;
  /** A string value; the span includes the quotes. `lexer.decoded()` is its text. */
  string(start: number, end: number): void;
  /** A number as written. Integers beyond ±(2^53 − 1) are `big`: a double would change them. */
  number(start: number, end: number, big: boolean): void;
  literal(value: true | false | null, start: number, end: number): void;
  /** A piece of a string value beyond `maxString`: the first one's span begins with the quote, the last one's ends with it. */
  stringPiece?(start: number, end: number, place: { readonly first: boolean; readonly last: boolean }): void;
}

/** Why the text was refused. `offset` counts UTF-16 units of the text. The reason never quotes the text. */
export interface JsonProblem {
  readonly offset: number;
  readonly reason: string;
}

export interface JsonLimits {
  /** Deepest nesting of objects and arrays; 64 by default. */
  readonly maxDepth?: number;
  /** Most members in one object: beyond, growing a hash table would hold the event loop. 16,384 by default. */
  readonly maxMembers?: number;
  /** Most values in the text: a few bytes each in the text are a hundred in memory. 262,144 by default. */
  readonly maxValues?: number;
  /** Longest string value that is reported whole, UTF-16 units as it is written; beyond, `stringPiece`. Any by default. */
  readonly maxString?: number;
  /** Most characters in the names of all objects that are open together (each counts 32 more). Any by default. */
  readonly maxNames?: number;
}

/** Longest name of a member in UTF-16 units: names are masked at once, so what is longer is read nowhere. */
const maxNameLength = 1024;
/** Longest number literal in characters: more digits than any value of use, few enough to convert at once. */
const maxNumberLength = 1024;
/** Longest name as it is written: six characters for each. */
const maxWrittenName = 6 * maxNameLength;
/** What a name costs beside its characters. */
const nameCost = 32;
/** Characters behind a place that may belong to the token there: a number with one too many. */
const longestToken = maxNumberLength + 64;
/** Beyond this many members the names of an object are kept in a Set. */
const fewMembers = 12;

type State =
  | 'value'
  | 'first-value'
  | 'first-key'
  | 'key'
  | 'colon'
  | 'after'
  | 'trailing'
  | 'string'
  | 'failed'
  | 'done';

const noNames: string[] = [];

interface Frame {
  readonly kind: 'object' | 'array';
  readonly names: string[];
  set: Set<string> | undefined;
  /** What they count for `maxNames`. */
  cost: number;
}

export class JsonLexer {
  /** The whole text; of one that flows (`feed`), what is kept of it: offsets are in this. */
  text: string;
  problem: JsonProblem | undefined;
  private readonly handler: JsonHandler;
  private readonly maxDepth: number;
  private readonly maxMembers: number;
  private readonly maxValues: number;
  private readonly maxString: number;
  private readonly maxNames: number;
  private namesCost = 0;
  /** No more text comes. */
  private final = true;
  /** The string in work is reported in pieces. */
  private inPieces = false;
  private values = 0;
  private readonly stack: Frame[] = [];
  private pos = 0;
  private state: State = 'value';
  private failedAt = 0;
  private stringStart = 0;
  private stringEnd = 0;
  private stringIsKey = false;
  private escaped = false;
  /** Decoded beginnings of an escaped string that was interrupted, and where the rest begins. */
  private readonly parts: string[] = [];
  private partStart = 0;

  constructor(text: string, handler: JsonHandler, limits: JsonLimits = {}) {
    this.text = text;
    this.handler = handler;
    this.maxDepth = limits.maxDepth ?? 64;
    this.maxMembers = limits.maxMembers ?? 16_384;
    this.maxValues = limits.maxValues ?? 262_144;
    this.maxString = limits.maxString ?? Number.POSITIVE_INFINITY;
    this.maxNames = limits.maxNames ?? Number.POSITIVE_INFINITY;
  }

  /** Where what is not reported yet begins. */
  get reported(): number {
    if (this.state === 'failed') return this.failedAt;
    return this.state === 'string' && !this.inPieces ? this.stringStart : this.pos;
  }

  /** Forgets the first `gone` characters of the text, all of them reported, and takes on more. `final`: no more comes. */
  feed(gone: number, more: string, final: boolean): void {
    this.text = this.text.slice(gone) + more;
    this.pos -= gone;
    this.stringStart -= gone;
    this.partStart -= gone;
    this.final = final;
  }

  /** Reads on for about `budget` characters. `hungry`: what is left may be a piece of a token. */
  run(budget: number): 'more' | 'hungry' | 'done' | 'failed' {
    const { text, final } = this;
    const end = final ? text.length : text.length - longestToken;
    const limit = Math.min(end, this.pos + budget);
    while (this.pos < limit && this.state !== 'failed') {
      if (this.state === 'string') {
        this.scanString(limit);
        continue;
      }
      const c = text.charCodeAt(this.pos);
      if (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) this.pos++;
      else this.token(c);
    }
    if (this.state !== 'failed' && this.pos < end) return 'more';
    return final || this.state === 'failed' ? this.finish() : 'hungry';
  }

  /** The text of the string that was just reported. A long one is put together by V8 when somebody first looks into it. */
  decoded(): string {
    if (!this.escaped) return this.text.slice(this.stringStart + 1, this.stringEnd - 1);
    const rest = unescapeJson(this.text.slice(this.partStart, this.stringEnd - 1));
    if (this.parts.length === 0) return rest;
    let text = '';
    for (const part of this.parts) text += part;
    return text + rest;
  }

  /** The same in pieces, none of which has to be put together. */
  decodedPieces(): readonly string[] {
    if (this.parts.length === 0) return [this.decoded()];
    return [...this.parts, unescapeJson(this.text.slice(this.partStart, this.stringEnd - 1))];
  }

  /** Whether the innermost open object has a member of this name already. */
  isNameUsed(name: string): boolean {
    const frame = this.stack[this.stack.length - 1];
    return frame?.set?.has(name) ?? frame?.names.includes(name) ?? false;
  }

  private finish(): 'done' | 'failed' {
    if (this.state === 'trailing') this.state = 'done';
    if (this.state === 'done') return 'done';
    if (this.state === 'string') this.fail(this.text.length, 'the text ends inside a string');
    else if (this.state !== 'failed') this.fail(this.text.length, 'the text ends before the value does');
    return 'failed';
  }

  private fail(offset: number, reason: string): undefined {
    this.failedAt = this.reported;
    this.state = 'failed';
    this.problem = { offset, reason };
  }

  private token(c: number): undefined {
    switch (this.state) {
      case 'first-value':
        if (c === 0x5d) return this.close('array');
        return this.value(c);
      case 'value':
        return this.value(c);
      case 'first-key':
        if (c === 0x7d) return this.close('object');
        return this.beginKey(c);
      case 'key':
        return this.beginKey(c);
      case 'colon':
        if (c !== 0x3a) return this.fail(this.pos, "expected ':' after a member's name");
        this.pos++;
        this.state = 'value';
        return;
      case 'after':
        return this.separator(c);
      default:
        return this.fail(this.pos, 'something follows the value');
    }
  }

  private value(c: number): undefined {
    if (++this.values > this.maxValues) return this.fail(this.pos, `more than ${this.maxValues} values`);
    switch (c) {
      case 0x22:
        return this.beginString(false);
      case 0x7b:
        return this.open('object');
      case 0x5b:
        return this.open('array');
      case 0x74:
        return this.literal('true', true);
      case 0x66:
        return this.literal('false', false);
      case 0x6e:
        return this.literal('null', null);
      case 0xfeff:
        return this.fail(this.pos, 'a byte order mark is not JSON');
      default:
        if (c === 0x2d || (c >= 0x30 && c <= 0x39)) return this.number();
        return this.fail(this.pos, 'expected a value');
    }
  }

  private separator(c: number): undefined {
    const kind = this.stack[this.stack.length - 1]!.kind;
    if (c === 0x2c) {
      this.pos++;
      this.state = kind === 'object' ? 'key' : 'value';
    } else if (c === (kind === 'object' ? 0x7d : 0x5d)) this.close(kind);
    else this.fail(this.pos, kind === 'object' ? "expected ',' or '}'" : "expected ',' or ']'");
  }

  private open(kind: 'object' | 'array'): undefined {
    if (this.stack.length >= this.maxDepth) return this.fail(this.pos, `nested deeper than ${this.maxDepth}`);
    this.stack.push({ kind, names: kind === 'object' ? [] : noNames, set: undefined, cost: 0 });
    this.handler.open(kind, this.pos);
    this.pos++;
    this.state = kind === 'object' ? 'first-key' : 'first-value';
  }

  private close(kind: 'object' | 'array'): undefined {
    this.namesCost -= this.stack.pop()!.cost;
    this.pos++;
    this.handler.close(kind, this.pos);
    this.ended();
  }

  private ended(): undefined {
    this.state = this.stack.length === 0 ? 'trailing' : 'after';
  }

  private literal(word: string, value: true | false | null): undefined {
    const start = this.pos;
    if (!this.text.startsWith(word, start)) return this.fail(start, 'expected a value');
    this.pos += word.length;
    this.handler.literal(value, start, this.pos);
    this.ended();
  }

  private number(): undefined {
    const { text, pos: start } = this;
    let i = start;
    let exact = true;
    if (text.charCodeAt(i) === 0x2d) i++;
    const digits = i;
    const most = start + maxNumberLength;
    while (isDigit(text.charCodeAt(i)) && i <= most) i++;
    if (i === digits) return this.fail(start, 'a number needs a digit');
    if (i - digits > 1 && text.charCodeAt(digits) === 0x30) return this.fail(digits, 'a number begins with a zero');
    if (text.charCodeAt(i) === 0x2e) {
      exact = false;
      const from = ++i;
      while (isDigit(text.charCodeAt(i)) && i <= most) i++;
      if (i === from) return this.fail(from, 'a number needs a digit after its point');
    }
    if ((text.charCodeAt(i) | 0x20) === 0x65) {
      exact = false;
      i++;
      const sign = text.charCodeAt(i);
      if (sign === 0x2b || sign === 0x2d) i++;
      const from = i;
      while (isDigit(text.charCodeAt(i)) && i <= most) i++;
      if (i === from) return this.fail(from, 'a number needs a digit in its exponent');
    }
    if (i > most) return this.fail(start, `a number is longer than ${maxNumberLength} characters`);
    if (i - start >= 16) {
      const value = Number(text.slice(start, i));
      if (!Number.isFinite(value)) return this.fail(start, 'a number is out of range');
      exact &&= !Number.isSafeInteger(value);
    } else {
      if (!exact && !Number.isFinite(Number(text.slice(start, i)))) return this.fail(start, 'a number is out of range');
      exact = false;
    }
    this.pos = i;
    this.handler.number(start, i, exact);
    this.ended();
  }

  private beginKey(c: number): undefined {
    if (c !== 0x22) return this.fail(this.pos, "expected a member's name");
    this.beginString(true);
  }

  private beginString(isKey: boolean): undefined {
    this.stringIsKey = isKey;
    this.stringStart = this.pos++;
    this.escaped = false;
    this.parts.length = 0;
    this.partStart = this.pos;
    this.state = 'string';
  }

  private scanString(limit: number): undefined {
    const { text } = this;
    let i = this.pos;
    while (i < limit) {
      const c = text.charCodeAt(i);
      if (c === 0x22) {
        this.pos = i + 1;
        return this.endString();
      }
      if (c === 0x5c) {
        const length = escapeLength(text, i);
        if (length < 0)
          return this.failInString(i, length === -1 ? 'an escape that JSON does not know' : 'a lone surrogate');
        this.escaped = true;
        i += length;
      } else if (c < 0x20) return this.failInString(i, 'a control character inside a string');
      else i++;
    }
    if (i > text.length) return this.fail(text.length, 'the text ends inside a string');
    if (this.stringIsKey) {
      if (i - this.stringStart - 1 > maxWrittenName) return this.nameTooLong();
    } else if (this.inPieces || i - this.stringStart - 1 > this.maxString) return this.piece(i);
    if (this.escaped) {
      this.parts.push(unescapeJson(text.slice(this.partStart, i)));
      this.partStart = i;
    }
    this.pos = i;
  }

  private endString(): undefined {
    this.stringEnd = this.pos;
    if (!this.stringIsKey) {
      this.ended();
      if (this.inPieces || this.pos - this.stringStart - 2 > this.maxString) {
        const first = !this.inPieces;
        this.inPieces = false;
        this.handler.stringPiece!(this.stringStart + (first ? 0 : 1), this.pos, { first, last: true });
        return;
      }
      this.handler.string(this.stringStart, this.pos);
      return;
    }
    const name = this.decoded();
    if (name.length > maxNameLength) return this.nameTooLong();
    const frame = this.stack[this.stack.length - 1]!;
    if (frame.set ? frame.set.has(name) : frame.names.includes(name))
      return this.fail(this.stringStart, 'a name is used twice in one object');
    // Of a text that flows, a view would keep what it was cut from.
    const kept = this.maxNames === Number.POSITIVE_INFINITY ? name : Buffer.from(name).toString();
    frame.cost += name.length + nameCost;
    this.namesCost += name.length + nameCost;
    if (this.namesCost > this.maxNames) return this.fail(this.stringStart, 'too many names in objects that are open');
    if (frame.set) frame.set.add(kept);
    else if (frame.names.push(kept) > fewMembers) frame.set = new Set(frame.names);
    if (frame.set && frame.set.size > this.maxMembers)
      return this.fail(this.stringStart, `an object has more than ${this.maxMembers} members`);
    this.state = 'colon';
    this.handler.key(kept, this.stringStart, this.pos);
  }

  /** Reports what was read of a long string up to `to`; the rest of it is read as a string of its own. */
  private piece(to: number): undefined {
    const first = !this.inPieces;
    // Both halves of a pair are there: more text follows.
    const end = (this.text.charCodeAt(to - 1) & 0xfc00) === 0xd800 ? to + 1 : to;
    this.stringEnd = end + 1;
    this.inPieces = true;
    this.handler.stringPiece!(this.stringStart + (first ? 0 : 1), end, { first, last: false });
    this.stringStart = end - 1;
    this.escaped = false;
    this.parts.length = 0;
    this.partStart = end;
    this.pos = end;
  }

  /** What was read well of a string that is reported in pieces is reported first. */
  private failInString(at: number, reason: string): undefined {
    if (this.inPieces && at > this.pos) this.piece(at);
    this.fail(at, reason);
  }

  private nameTooLong(): undefined {
    this.fail(this.stringStart, `a member's name is longer than ${maxNameLength} characters`);
  }
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}
