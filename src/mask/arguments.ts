/**
 * Masks a text that is itself JSON and comes in pieces: the arguments of a tool call. Names and strings are matched
 * decoded, numbers as they are written, each value behind the name of its member; what comes out is valid JSON if what went
 * in was. Text that is not touched keeps its spelling; only an escape next to a match may become the character that it stands
 * for.
 *
 * A text that turns out not to be JSON is masked as plain text from the first character that JSON does not allow there
 * (with the number or word before it, which may have been the beginning of a match). That place depends on the text
 * alone, not on how it was cut.
 */
import { ownText } from '../detect/units.ts';
import type { TextMasker } from './contract.ts';
import { EscapedString, isEscape, unitOfEscape } from './escaped-string.ts';
import type { Findings } from './findings.ts';
import { beforeValue, digitsOf, longestName } from './text-reader.ts';

type State =
  | 'value'
  | 'first-value'
  | 'first-key'
  | 'key'
  | 'colon'
  | 'after'
  | 'string'
  | 'escape'
  | 'scalar'
  | 'plain';

/** An object or array that is open, and the name that it stands behind itself. */
interface Level {
  readonly kind: 'object' | 'array';
  readonly name: string;
}

const maxDepth = 64;
/** Longest number or word, with the white space behind it. */
const maxScalar = 1024;
const scalarCharacter = /[0-9A-Za-z+.-]/;
const number = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const word = /^(?:true|false|null)$/;

export class ArgumentsMasker implements TextMasker {
  private readonly findings: Findings;
  private state: State = 'value';
  private readonly stack: Level[] = [];
  /** The name read last, or the end of it, decoded. */
  private name = '';
  private out = '';
  private string: EscapedString | undefined;
  private stringIsKey = false;
  private escape = '';
  /** A number or word, and the white space behind it: out only once what follows is known to be allowed. */
  private scalar = '';
  private space = '';
  private plain: TextMasker | undefined;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  get held(): number {
    return (
      (this.string?.held ?? 0) + this.escape.length + this.scalar.length + this.space.length + (this.plain?.held ?? 0)
    );
  }

  push(delta: string): string {
    this.out = '';
    for (let i = 0; i < delta.length; ) {
      if (this.state === 'plain') {
        this.out += this.plain!.push(delta.slice(i));
        break;
      }
      i = this.state === 'string' ? this.inString(delta, i) : this.outside(delta, i);
    }
    return this.out;
  }

  end(): string {
    this.out = '';
    if (this.scalar !== '' && !isScalar(this.scalar)) this.fallBack('');
    if (this.plain !== undefined) this.out += this.plain.end();
    else if (this.scalar !== '') this.releaseScalar();
    else if (this.string !== undefined) this.out += this.string.end() + this.escape;
    this.string = undefined;
    this.escape = '';
    return this.out;
  }

  private outside(delta: string, i: number): number {
    const c = delta[i]!;
    if (this.state === 'escape') return this.inEscape(c, i);
    if (this.state === 'scalar') {
      if (scalarCharacter.test(c) && this.space === '') this.scalar += c;
      else if (isSpace(c)) this.space += c;
      else return this.afterScalar(c, i);
      if (this.scalar.length + this.space.length > maxScalar || (this.space !== '' && !isScalar(this.scalar)))
        this.fallBack('');
      return i + 1;
    }
    if (isSpace(c)) this.out += c;
    else if (!this.accepts(c)) this.fallBack(c);
    return i + 1;
  }

  /** What may follow a value decides whether the value goes out. */
  private afterScalar(c: string, i: number): number {
    const top = this.stack.at(-1)?.kind;
    const allowed = c === ',' ? top !== undefined : c === '}' ? top === 'object' : c === ']' && top === 'array';
    if (!allowed || !isScalar(this.scalar)) {
      this.fallBack(c);
      return i + 1;
    }
    this.releaseScalar();
    this.state = 'after';
    return i;
  }

  private releaseScalar(): void {
    const digits = digitsOf(this.scalar);
    const masked = this.findings.mask(digits, this.before());
    this.out += (masked === digits ? this.scalar : JSON.stringify(masked)) + this.space;
    this.scalar = '';
    this.space = '';
  }

  /** Takes a character outside of strings and scalars; false: JSON does not allow it here. */
  private accepts(c: string): boolean {
    switch (this.state) {
      case 'first-key':
        return c === '}' ? this.close(c) : this.openString(c, true);
      case 'key':
        return this.openString(c, true);
      case 'colon':
        if (c !== ':') return false;
        this.state = 'value';
        this.out += c;
        return true;
      case 'after':
        return this.separator(c);
      case 'first-value':
        return c === ']' ? this.close(c) : this.value(c);
      default:
        return this.value(c);
    }
  }

  private value(c: string): boolean {
    if (c === '{' || c === '[') {
      if (this.stack.length >= maxDepth) return false;
      this.stack.push({ kind: c === '{' ? 'object' : 'array', name: this.nameHere() });
      this.state = c === '{' ? 'first-key' : 'first-value';
      this.out += c;
      return true;
    }
    if (this.openString(c, false)) return true;
    if (!/[-0-9tfn]/.test(c)) return false;
    this.scalar = c;
    this.state = 'scalar';
    return true;
  }

  private separator(c: string): boolean {
    const top = this.stack.at(-1)?.kind;
    if (top === undefined) return false;
    if (c !== ',') return c === (top === 'object' ? '}' : ']') && this.close(c);
    this.state = top === 'object' ? 'key' : 'value';
    this.out += c;
    return true;
  }

  private close(c: string): true {
    this.stack.pop();
    this.state = 'after';
    this.out += c;
    return true;
  }

  private openString(c: string, isKey: boolean): boolean {
    if (c !== '"') return false;
    this.string = new EscapedString(this.findings, isKey ? '' : this.before());
    this.stringIsKey = isKey;
    if (isKey) this.name = '';
    this.state = 'string';
    this.out += c;
    return true;
  }

  private inString(delta: string, from: number): number {
    const string = this.string!;
    let i = from;
    while (i < delta.length && delta[i] !== '"' && delta[i] !== '\\') i++;
    if (i > from) {
      const piece = delta.slice(from, i);
      if (this.stringIsKey) this.name = endOfName(this.name, piece);
      this.out += string.push(piece);
    }
    if (i === delta.length) return i;
    if (delta[i] === '\\') {
      this.escape = '\\';
      this.state = 'escape';
    } else {
      this.out += `${string.end()}"`;
      this.string = undefined;
      this.state = this.stringIsKey ? 'colon' : 'after';
    }
    return i + 1;
  }

  private inEscape(c: string, i: number): number {
    const spelled = this.escape + c;
    switch (isEscape(spelled)) {
      case 'begun':
        this.escape = spelled;
        return i + 1;
      case 'whole':
        if (this.stringIsKey) this.name = endOfName(this.name, unitOfEscape(spelled));
        this.out += this.string!.pushEscape(spelled);
        this.escape = '';
        this.state = 'string';
        return i + 1;
      case 'not':
        this.fallBack(c);
        return i + 1;
    }
  }

  /** The name of the member whose value comes now; in an array, that of the array. */
  private nameHere(): string {
    const top = this.stack.at(-1);
    return top === undefined || top.kind === 'object' ? this.name : top.name;
  }

  private before(): string {
    return this.stack.length === 0 ? '' : beforeValue(this.nameHere());
  }

  /** From here on it is plain text: with what was held of a scalar or an escape, then `c`. */
  private fallBack(c: string): void {
    if (this.string !== undefined) this.out += this.string.end();
    this.string = undefined;
    this.plain = this.findings.masker(this.before());
    this.out += this.plain.push(this.escape + this.scalar + this.space + c);
    this.escape = '';
    this.scalar = '';
    this.space = '';
    this.state = 'plain';
  }
}

/** The end of a name: a name may come in pieces, and be of any length. */
const endOfName = (name: string, piece: string): string => ownText((name + piece).slice(-longestName));

function isSpace(c: string): boolean {
  return c === ' ' || c === '\n' || c === '\r' || c === '\t';
}

function isScalar(text: string): boolean {
  return number.test(text) || word.test(text);
}
