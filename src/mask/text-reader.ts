/** Finds in a JSON text everything that a mask may have to change, and what it says about the stream. */

import type { PathStep } from '../exchange/format.ts';
import type { JsonHandler, JsonLexer } from '../exchange/json-lexer.ts';
import {
  isStructural,
  isUnnamed,
  type Marker,
  memberRule,
  numberLeftAlone,
  type RuleNode,
  type Treatment,
} from '../exchange/text-rules.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';

/** An object or array around a place. */
export interface Frame {
  readonly parent: Frame | undefined;
  readonly rule: RuleNode;
  readonly kind: 'object' | 'array';
  /** Its name in the parent object, or its place in the parent array. */
  readonly step: string | number;
  /** The object's own `index` field, where the format says that it has one. */
  index: number | undefined;
  /** Inside an array whose items are pieces of one text. */
  readonly joined: boolean;
  /** Items so far. */
  count: number;
  /** Names that this object got from a mask. */
  renamed: Set<string> | undefined;
  /** Of an item of a joined array in a body that flows: its structural scalars. */
  header: HeaderMember[] | undefined;
}

/** A place that may have to change. The span is the raw token, quotes included. */
export interface Candidate {
  readonly kind:
    | 'string'
    | 'number'
    | 'name'
    | 'drop'
    /** Of a body that flows: pieces of a long string, its end, and the place before the bracket that closes a joined array. */
    | 'piece'
    | 'last-piece'
    /** Of a body that flows: a string that the table does not name, in an item of a joined array. */
    | 'unnamed'
    | 'joined-end';
  start: number;
  end: number;
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

/** A scalar member of the outermost object, or of an item. */
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
  /** The stream is over with this event. */
  terminal = false;
  /** Some strings so far are pieces of one text. */
  joins = false;
  /** Set where the text flows (json-flow.ts): how long an item of a joined array is kept. */
  flows: number | undefined;
  /** Of a text that flows: where the item of a joined array begins that is open, and of which its members may say more. */
  itemStart: number | undefined;
  /** A member said of which text an item is part when that had to be decided already. */
  saidTooLate = false;
  /** Whether the outermost value is an object. */
  isObject = false;
  inputTokens: number | undefined;
  outputTokens: number | undefined;
  /** Bytes in UTF-8 of text that goes on from event to event. */
  textBytes = 0;
  /** The same text where it is long, in pieces: not counted here. */
  readonly longTexts: string[] = [];
  /** The objects that the two are from. */
  private readonly counted: { input?: Frame | undefined; output?: Frame | undefined } = {};
  /** The scalars that say what kind of event this is, by name. */
  readonly said = new Map<string, string>();
  private readonly root: RuleNode;
  private readonly maskName: ((name: string) => string) | undefined;
  private frame: Frame | undefined;
  private name = '';
  private nameRaw = '';
  private dropping = 0;
  private dropStart = 0;
  /** The long string in work. */
  private long: RuleNode | undefined;
  /** The open item has some of a text. */
  private itemHasText = false;
  private readonly headerMembers: HeaderMember[] = [];
  private readonly clean: ReadonlyMap<string, string> | undefined;
  private readonly telling: ReadonlySet<string> | undefined;

  /**
   * `maskName` undefined: names are not looked at. `clean`: by name, structural strings of the outermost object that
   * need not be looked at again. `telling`: names (`a`, `a.b`) of the scalars that go into `said`.
   */
  constructor(
    root: RuleNode,
    maskName: ((name: string) => string) | undefined,
    clean?: ReadonlyMap<string, string>,
    telling?: ReadonlySet<string>,
  ) {
    this.root = root;
    this.maskName = maskName;
    this.clean = clean;
    this.telling = telling;
  }

  /** The structural scalar members of the outermost object, as they are written or become, joined by commas. */
  get header(): string {
    return headerOf(this.headerMembers);
  }

  /** Where what is left out now begins; undefined: nothing is. */
  get droppedFrom(): number | undefined {
    return this.dropping > 0 ? this.dropStart : undefined;
  }

  /** The text has lost its first characters: offsets move. What only events need is forgotten. */
  moved(gone: number): void {
    this.dropStart -= gone;
    if (this.itemStart !== undefined) this.itemStart -= gone;
    for (const candidate of this.candidates) {
      candidate.start -= gone;
      candidate.end -= gone;
    }
    this.ended.length = 0;
    this.headerMembers.length = 0;
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
    const joined = frame !== undefined && (frame.joined || joins(frame));
    this.joins ||= joined;
    this.frame = {
      parent: frame,
      rule,
      kind,
      step: rule.alias ?? this.step(),
      index: undefined,
      joined,
      count: 0,
      renamed: undefined,
      header: undefined,
    };
    if (this.flows !== undefined && isItem(this.frame)) {
      this.frame.header = [];
      this.itemHasText = false;
      if (hasAside(rule)) this.itemStart = start;
    }
  }

  close(_kind: 'object' | 'array', end: number): void {
    if (this.dropping === 0) {
      const frame = this.frame!;
      if (isItem(frame)) this.itemStart = undefined;
      if (this.flows !== undefined && joins(frame) && !frame.joined)
        this.add('joined-end', end - 1, end - 1, 'channel', '');
      this.frame = frame.parent;
    } else if (--this.dropping === 0) this.add('drop', this.dropStart, end, 'drop', '');
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
    if (this.telling !== undefined) this.note(text);
    // Some servers send an empty finish_reason until there is one.
    if (treatment === 'end' && text !== '') this.ended.push(this.frame!);
    else if (treatment === 'error') this.error = true;
    if (treatment === 'channel' || treatment === 'json') this.count(text);
    if (rule.markers !== undefined) this.mark(rule.markers.get(text), start);
    const inHeader = isHeader(treatment, this.frame);
    const isClean = inHeader && this.clean?.get(this.name) === text;
    const kind = this.isUnnamedPart(rule) ? 'unnamed' : 'string';
    const candidate = isClean ? undefined : this.add(kind, start, end, treatment, text);
    if (candidate !== undefined && text.length >= longString) candidate.pieces = this.lexer!.decodedPieces();
    if (inHeader) this.keepHeader(start, end, candidate);
    else this.keepInItem(treatment, start, end, candidate);
  }

  stringPiece(start: number, end: number, { first, last }: { readonly first: boolean; readonly last: boolean }): void {
    if (first && this.dropping === 0) {
      this.long = this.enter();
      if (this.long.treatment === 'drop') {
        this.dropping = 1;
        this.dropStart = start;
      }
    }
    if (this.long === undefined) return;
    const { long } = this;
    const { treatment } = long;
    if (last) this.long = undefined;
    if (this.dropping > 0) {
      if (!last) return;
      this.dropping = 0;
      this.add('drop', this.dropStart, end, 'drop', '');
      return;
    }
    const text = this.lexer!.decoded();
    if (treatment === 'channel' || treatment === 'json') this.textBytes += Buffer.byteLength(text);
    const asked = this.isUnnamedPart(long) ? 'whole' : treatment;
    this.add(last ? 'last-piece' : 'piece', start, end, asked, text);
  }

  private count(text: string): void {
    if (text.length < longString) this.textBytes += Buffer.byteLength(text);
    else this.longTexts.push(...this.lexer!.decodedPieces());
  }

  number(start: number, end: number): void {
    if (this.dropping > 0) return;
    const { treatment } = this.enter();
    if (treatment === 'drop') {
      this.add('drop', start, end, 'drop', '');
      return;
    }
    const raw = this.lexer!.text.slice(start, end);
    if (this.telling !== undefined) this.note(raw);
    if (this.name === 'index' && this.frame !== undefined && hasIndex(this.frame)) this.frame.index = placeOf(raw);
    else if (this.telling !== undefined && /_index$/.test(this.name)) placeOf(raw);
    if (treatment === 'input-tokens') this.inputTokens = this.usage('input', this.inputTokens, indexOf(raw));
    else if (treatment === 'output-tokens') this.outputTokens = this.usage('output', this.outputTokens, indexOf(raw));
    else if (treatment === 'end') this.ended.push(this.frame!);
    else if (treatment === 'error') this.error = true;
    const leftAlone = numberLeftAlone(treatment, raw);
    const candidate = leftAlone ? undefined : this.add('number', start, end, treatment, digitsOf(raw));
    if (isHeader(treatment, this.frame)) this.keepHeader(start, end, candidate);
    else this.keepInItem(treatment, start, end, candidate);
  }

  literal(value: true | false | null, start: number, end: number): void {
    if (this.dropping > 0) return;
    const { treatment, markers } = this.enter();
    if (value === null) return;
    this.keepInItem(treatment, start, end, undefined);
    if (markers !== undefined) this.mark(markers.get(String(value)), start);
    if (this.telling !== undefined) this.note(String(value));
    if (treatment === 'drop') this.add('drop', start, end, 'drop', '');
    else if (treatment === 'end') this.ended.push(this.frame!);
    else if (treatment === 'error') this.error = true;
  }

  /** Counts of one object are parts of a sum (cached tokens, thoughts); another object counts anew. */
  private usage(what: 'input' | 'output', sum: number | undefined, count: number | undefined): number | undefined {
    const before = this.counted[what] === this.frame ? sum : undefined;
    this.counted[what] = this.frame;
    return before === undefined ? count : before + (count ?? 0);
  }

  private mark(marker: Marker | undefined, at: number): void {
    if (marker === 'end') this.ended.push(this.frame!);
    else if (marker === 'terminal') this.terminal = true;
    else if (marker === 'aside') {
      if (this.itemStart !== undefined) this.saidTooLate ||= this.itemHasText && at - this.itemStart > this.flows!;
      this.frame!.index = aside;
    }
  }

  private note(value: string): void {
    const { frame, name } = this;
    if (frame?.kind !== 'object') return;
    const path = frame.parent === undefined ? name : `${frame.step}.${name}`;
    const isTelling = frame.parent === undefined || (isOutermost(frame.parent) && frame.parent.kind === 'object');
    if (isTelling && this.telling!.has(path)) this.said.set(path, value);
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
    if (kind !== 'unnamed' && treatment === 'channel' && this.frame?.joined) this.itemHasText = true;
    return candidate;
  }

  private keepHeader(start: number, end: number, candidate: Candidate | undefined): void {
    this.headerMembers.push({ name: `${this.nameRaw}:`, value: this.lexer!.text.slice(start, end), candidate });
  }

  private isUnnamedPart(rule: RuleNode): boolean {
    return this.flows !== undefined && this.frame?.joined === true && isUnnamed(rule);
  }

  private keepInItem(treatment: Treatment, start: number, end: number, candidate: Candidate | undefined): void {
    const header = this.frame?.header;
    if (header === undefined || !isStructural(treatment) || end - start > longestInItem) return;
    const value = Buffer.from(this.lexer!.text.slice(start, end)).toString();
    header.push({ name: `${JSON.stringify(this.name)}:`, value, candidate });
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

/** Longest scalar that an item that carries the rest of a text repeats. */
const longestInItem = 256;

/** Whether this is an item of the outermost joined array around it. */
function isItem({ parent }: Frame): boolean {
  return parent !== undefined && joins(parent) && !parent.joined;
}

/** A body may be an array of what is else the whole of it: then the rule has items, too. */
function joins({ kind, rule }: Frame): boolean {
  return kind === 'array' && rule.joined;
}

/** The item of the outermost joined array that a frame is in, or is. */
export function itemOf(frame: Frame): Frame {
  let item = frame;
  while (!isItem(item)) item = item.parent!;
  return item;
}

function hasAside({ members }: RuleNode): boolean {
  for (const { markers } of members.values())
    for (const marker of markers?.values() ?? []) if (marker === 'aside') return true;
  return false;
}

/** Scalar members as they are written or become, joined by commas. */
export function headerOf(members: readonly HeaderMember[]): string {
  return members.map(({ name, value, candidate }) => name + (candidate?.becomes ?? value)).join();
}

function isHeader(treatment: Treatment, frame: Frame | undefined): boolean {
  return isStructural(treatment) && isOutermost(frame);
}

/** Whether this is the frame of the outermost value. */
export function isOutermost(frame: Frame | undefined): boolean {
  return frame !== undefined && frame.parent === undefined;
}

/** Of a name, its end: longer than any word that a detector looks for, and all that is kept of a name that streams. */
export const longestName = 64;

/** What stands before the value of a member: detectors look for their words in it. */
export const beforeValue = (name: string): string => (name === '' ? '' : `${name.slice(-longestName)}: `);

/**
 * What stands before a value: the name of its member, or of the array that it is in. Nothing where the format knows the name,
 * which says nothing of the value then (`content`, `id`).
 */
export function nameBefore({ frame, step, treatment }: Candidate): string {
  if (isStructural(treatment)) return '';
  let at = frame;
  let name = step;
  for (; at?.kind === 'array'; at = at.parent) name = at.step;
  return at === undefined || typeof name !== 'string' || at.rule.members.has(name) ? '' : beforeValue(name);
}

const written = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;
const mostDigits = 64;

/** An integer in its digits, however it is written: `4.1e3` is 4100. Any other number as it is. */
export function digitsOf(raw: string): string {
  const read = /[.eE]/.test(raw) ? written.exec(raw) : null;
  if (read === null) return raw;
  const [, sign, whole, fraction = '', exponent = '0'] = read;
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

/** Where the items of a joined array are in a path: all in one place, those that are marked in a second one. */
const aside = 1;

function hasIndex({ parent, rule }: Frame): boolean {
  return parent === undefined ? rule.ownIndex : parent.rule.indexed;
}

/** A place among texts. `1.0` would be the same place to whoever reads numbers, and another one to whoever compares spellings. */
function placeOf(raw: string): number {
  const place = indexOf(raw);
  if (place === undefined) throw new UnreadableBody('an index that is no plain number');
  return place;
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
    else path.push({ item: inside?.index ?? (at.rule.joined ? 0 : next!), indexed: at.rule.indexed });
    inside = at;
    next = at.step;
  }
  // Only what carries the field: other events of such a stream say something of the whole.
  if (inside?.rule.ownIndex && inside.index !== undefined) path.push({ item: inside.index, indexed: true });
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
