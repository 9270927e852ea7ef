/** Finds in a JSON text everything that a mask may have to change, and what it says about the stream. */
import type { PathStep } from '../exchange/format.ts';
import type { JsonHandler, JsonLexer } from '../exchange/json-lexer.ts';
import { isStructural, memberRule, numberLeftAlone, type RuleNode, type Treatment } from '../exchange/text-rules.ts';

/** An object or array around a place. */
export interface Frame {
  readonly parent: Frame | undefined;
  readonly rule: RuleNode;
  readonly kind: 'object' | 'array';
  /** Its name in the parent object, or its place in the parent array. */
  readonly step: string | number;
  /** The object's own `index` field, where the format says that it has one. */
  index: number | undefined;
  /** Items so far. */
  count: number;
  /** Names that this object got from a mask. */
  renamed: Set<string> | undefined;
}

/** A place that may have to change. The span is the raw token, quotes included. */
export interface Candidate {
  readonly kind: 'string' | 'number' | 'name' | 'drop';
  readonly start: number;
  readonly end: number;
  readonly treatment: Treatment;
  readonly frame: Frame | undefined;
  readonly step: string | number;
  /** The decoded text; a number in its digits. */
  readonly text: string;
  /** The text in the pieces in which it was read, where it is so long that putting it together takes time. */
  pieces: readonly string[] | undefined;
  /** What the token becomes, as JSON; undefined: it stays. */
  becomes: string | undefined;
}

/** Strings from this length on are masked in pieces. */
const longString = 64 * 1024;

/** A scalar member of the outermost object. */
interface HeaderMember {
  /** Its name as it is written, with the colon. */
  readonly name: string;
  readonly value: string;
  /** Set where the value may have to change. */
  readonly candidate: Candidate | undefined;
}

export class TextReader implements JsonHandler {
  lexer: JsonLexer | undefined;
  candidates: Candidate[] = [];
  /** Objects whose channels end with this event. */
  readonly ended: Frame[] = [];
  error = false;
  /** Whether the outermost value is an object. */
  isObject = false;
  inputTokens: number | undefined;
  outputTokens: number | undefined;
  /** Characters of text that goes on from event to event. */
  characters = 0;
  private readonly root: RuleNode;
  private readonly maskName: ((name: string) => string) | undefined;
  private frame: Frame | undefined;
  private name = '';
  private nameRaw = '';
  private dropping = 0;
  private dropStart = 0;
  private readonly headerMembers: HeaderMember[] = [];
  private readonly clean: ReadonlyMap<string, string> | undefined;

  /**
   * `maskName` undefined: names are not looked at. `clean`: by name, structural strings of the outermost object that
   * need not be looked at again.
   */
  constructor(root: RuleNode, maskName: ((name: string) => string) | undefined, clean?: ReadonlyMap<string, string>) {
    this.root = root;
    this.maskName = maskName;
    this.clean = clean;
  }

  /** The structural scalar members of the outermost object, as they are written or become, joined by commas. */
  get header(): string {
    return this.headerMembers.map(({ name, value, candidate }) => name + (candidate?.becomes ?? value)).join();
  }

  open(kind: 'object' | 'array', start: number): void {
    if (this.dropping > 0) {
      this.dropping++;
      return;
    }
    const { frame } = this;
    const rule = this.enter();
    if (rule.treatment === 'drop') {
      this.dropping = 1;
      this.dropStart = start;
      return;
    }
    if (rule.treatment === 'error') this.error = true;
    if (frame === undefined) this.isObject = kind === 'object';
    this.frame = { parent: frame, rule, kind, step: this.step(), index: undefined, count: 0, renamed: undefined };
  }

  close(_kind: 'object' | 'array', end: number): void {
    if (this.dropping === 0) this.frame = this.frame!.parent;
    else if (--this.dropping === 0) this.add('drop', this.dropStart, end, 'drop', '');
  }

  key(name: string, start: number, end: number): void {
    if (this.dropping > 0) return;
    const frame = this.frame!;
    this.name = name;
    if (frame.parent === undefined) this.nameRaw = this.lexer!.text.slice(start, end);
    if (this.maskName === undefined || frame.rule.members.has(name)) return;
    const masked = this.maskName(name);
    if (masked === name && !frame.renamed?.has(name)) return;
    this.add('name', start, end, 'whole', name).becomes = JSON.stringify(this.freeName(frame, masked));
  }

  string(start: number, end: number): void {
    if (this.dropping > 0) return;
    const rule = this.enter();
    const { treatment } = rule;
    if (treatment === 'drop') {
      this.add('drop', start, end, 'drop', '');
      return;
    }
    const text = this.lexer!.decoded();
    // Some servers send an empty finish_reason until there is one.
    if (treatment === 'end' && text !== '') this.ended.push(this.frame!);
    else if (treatment === 'error') this.error = true;
    if (treatment === 'channel' || treatment === 'json') this.characters += text.length;
    const inHeader = isHeader(treatment, this.frame);
    const isClean = inHeader && this.clean?.get(this.name) === text;
    const candidate = isClean ? undefined : this.add('string', start, end, treatment, text);
    if (candidate !== undefined && text.length >= longString) candidate.pieces = this.lexer!.decodedPieces();
    if (inHeader) this.keepHeader(start, end, candidate);
  }

  number(start: number, end: number): void {
    if (this.dropping > 0) return;
    const { treatment } = this.enter();
    if (treatment === 'drop') {
      this.add('drop', start, end, 'drop', '');
      return;
    }
    const raw = this.lexer!.text.slice(start, end);
    if (this.name === 'index' && this.frame?.parent?.rule.indexed === true) this.frame.index = indexOf(raw);
    if (treatment === 'input-tokens') this.inputTokens = indexOf(raw);
    else if (treatment === 'output-tokens') this.outputTokens = indexOf(raw);
    else if (treatment === 'end') this.ended.push(this.frame!);
    else if (treatment === 'error') this.error = true;
    const leftAlone = numberLeftAlone(treatment, raw);
    const candidate = leftAlone ? undefined : this.add('number', start, end, treatment, digitsOf(raw));
    if (isHeader(treatment, this.frame)) this.keepHeader(start, end, candidate);
  }

  literal(value: true | false | null, start: number, end: number): void {
    if (this.dropping > 0) return;
    const { treatment } = this.enter();
    if (value === null) return;
    if (treatment === 'drop') this.add('drop', start, end, 'drop', '');
    else if (treatment === 'end') this.ended.push(this.frame!);
    else if (treatment === 'error') this.error = true;
  }

  /** The rule for the value that begins now. */
  private enter(): RuleNode {
    const { frame } = this;
    if (frame === undefined) return this.root;
    if (frame.kind === 'object') return memberRule(frame.rule, this.name);
    frame.count++;
    return frame.rule.items;
  }

  private step(): string | number {
    if (this.frame === undefined) return '';
    return this.frame.kind === 'object' ? this.name : this.frame.count - 1;
  }

  private add(kind: Candidate['kind'], start: number, end: number, treatment: Treatment, text: string): Candidate {
    const candidate: Candidate = {
      kind,
      start,
      end,
      treatment,
      frame: this.frame,
      step: this.step(),
      text,
      pieces: undefined,
      becomes: undefined,
    };
    this.candidates.push(candidate);
    return candidate;
  }

  private keepHeader(start: number, end: number, candidate: Candidate | undefined): void {
    this.headerMembers.push({ name: `${this.nameRaw}:`, value: this.lexer!.text.slice(start, end), candidate });
  }

  /** A masked name must not meet another one of its object: what we write is as strict as what we read. */
  private freeName(frame: Frame, masked: string): string {
    frame.renamed ??= new Set();
    let free = masked;
    for (let n = 2; frame.renamed.has(free) || this.lexer!.isNameUsed(free); n++) free = `${masked} (${n})`;
    frame.renamed.add(free);
    return free;
  }
}

function isHeader(treatment: Treatment, frame: Frame | undefined): boolean {
  return isStructural(treatment) && isOutermost(frame);
}

/** Whether this is the frame of the outermost value. */
export function isOutermost(frame: Frame | undefined): boolean {
  return frame !== undefined && frame.parent === undefined;
}

const written = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;
const mostDigits = 64;

/** An integer in its digits, however it is written: `4.1e3` is 4100. Any other number as it is. */
function digitsOf(raw: string): string {
  if (!/[.eE]/.test(raw)) return raw;
  const [, sign, whole, fraction = '', exponent = '0'] = written.exec(raw)!;
  const digits = whole + fraction;
  const point = whole!.length + Number(exponent);
  if (point < 1 || point > mostDigits || /[1-9]/.test(digits.slice(point))) return raw;
  return (
    sign +
    digits
      .slice(0, point)
      .padEnd(point, '0')
      .replace(/^0+(?=[0-9])/, '')
  );
}

/** Indexes and token counts: small integers. */
function indexOf(raw: string): number | undefined {
  return /^[0-9]{1,9}$/.test(raw) ? Number(raw) : undefined;
}

/** The path of a place in a frame (without `step`: of the frame itself), outermost first. */
export function pathOf(frame: Frame | undefined, step?: string | number): PathStep[] {
  const path: PathStep[] = [];
  let at = frame;
  let inside: Frame | undefined;
  let next = step;
  if (step === undefined && frame !== undefined) {
    at = frame.parent;
    inside = frame;
    next = frame.step;
  }
  for (; at !== undefined; at = at.parent) {
    if (typeof next === 'string') path.push(next);
    else path.push({ item: inside?.index ?? next!, indexed: at.rule.indexed });
    inside = at;
    next = at.step;
  }
  return path.reverse();
}

const simpleName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The path as a key: `.choices[0].delta.content`. */
export function keyOf(path: readonly PathStep[]): string {
  let key = '';
  for (const step of path) {
    if (typeof step === 'object') key += `[${step.item}]`;
    else key += simpleName.test(step) ? `.${step}` : `.${JSON.stringify(step)}`;
  }
  return key;
}
