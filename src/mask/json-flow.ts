/**
 * Masks a JSON text of any length as it comes. It is read by the same lexer and the same reader as a body that is kept, over
 * a window: strings up to `maxString` characters, names and numbers are kept whole and masked as there; a longer string
 * leaves in pieces, its end before its closing quote. Differences to a body that is kept:
 *
 * - A long string that is masked is spelled anew, found or not: `\u00e9` becomes `é`.
 * - What the last string of a text in several strings (`[+]`) still holds leaves in an item of its own at the end of the
 *   array: whether another string comes cannot be known. Strings that the table does not name are complete by themselves,
 *   and one that would complete a match begun in an earlier one is replaced (whole-text.ts).
 * - Refused: encoded media longer than `maxString` that turn out to be something else, and a text whose item says only
 *   `maxString` characters later of which text it is part (Gemini's `thought`).
 */
import { carrierAt } from '../exchange/carrier.ts';
import type { PathStep } from '../exchange/format.ts';
import { lexSlice } from '../exchange/json.ts';
import { JsonLexer } from '../exchange/json-lexer.ts';
import { paced, type Work } from '../exchange/pace.ts';
import { hasOnlyBase64, isMedia, type RuleNode } from '../exchange/text-rules.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { Utf8Pieces } from '../exchange/utf8.ts';
import { ArgumentsMasker } from './arguments.ts';
import { Channel } from './channel.ts';
import type { ClosingError, Released } from './contract.ts';
import { jsonInside } from './escaped-string.ts';
import { settle } from './event.ts';
import type { Findings } from './findings.ts';
import { joined } from './joined.ts';
import { isJoined, maxTexts } from './joined-texts.ts';
import { JsonValues } from './json-values.ts';
import { Rewritten } from './rewritten.ts';
import { type Candidate, type Frame, headerOf, itemOf, keyOf, nameBefore, pathOf, TextReader } from './text-reader.ts';
import type { UsageReader } from './usage.ts';
import { WholeText } from './whole-text.ts';

/** Longest string that is kept whole, UTF-16 units as it is written. */
const longestKept = 32 * 1024;
/** Bytes read in one step. */
const sliceBytes = 32 * 1024;
/** Characters of all names in the objects that are open together, and 32 for each. */
const maxNames = 1024 * 1024;

/** A text in several strings. */
interface Text {
  readonly channel: Channel;
  /** Of the last item with a piece of it. */
  item: Frame;
  /** Where it is in its item. */
  readonly path: readonly PathStep[];
}

export class FlowingJson {
  private readonly values: JsonValues | undefined;
  private readonly usages: UsageReader;
  private readonly maxString: number;
  private readonly utf8 = new Utf8Pieces();
  private readonly reader: TextReader;
  private readonly lexer: JsonLexer;
  private readonly output = new Rewritten('');
  /** What the long string in work goes through. */
  private long: Channel | 'media' | undefined;
  /** By the outermost joined array that they are in. */
  private readonly texts = new Map<Frame, Map<string, Text>>();
  private readonly wholes = new Map<Frame, Map<string, WholeText>>();

  /** `masks` undefined: the text is read strictly and passed as it is. */
  constructor(rules: RuleNode, masks: Findings | undefined, usages: UsageReader, maxString = longestKept) {
    this.values = masks && new JsonValues(masks, undefined);
    this.usages = usages;
    this.maxString = maxString;
    this.reader = new TextReader(rules, this.values?.name);
    this.reader.flows = maxString;
    this.lexer = new JsonLexer('', this.reader, { maxString, maxNames, maxValues: Number.POSITIVE_INFINITY });
    this.reader.lexer = this.lexer;
  }

  /** Characters kept. */
  get held(): number {
    return this.lexer.text.length;
  }

  push(...chunks: readonly Uint8Array[]): Released | Promise<Released> {
    return paced(this.take(chunks));
  }

  end(): Released | Promise<Released> {
    return paced(this.finish());
  }

  /** What was read well, and what is held of a string that is cut off. */
  salvage(): Buffer {
    const rest = this.long instanceof Channel ? this.long.end() : '';
    this.long = undefined;
    return Buffer.concat([...this.output.take(), Buffer.from(jsonInside(rest))]);
  }

  /** Behind a text that is cut off, on a line of its own: no reader of JSON can take the two for a whole text. */
  closing({ json }: ClosingError): Buffer {
    return Buffer.from(`\n${json}\n`);
  }

  private *take(chunks: readonly Uint8Array[]): Work<Released> {
    for (const chunk of chunks)
      for (let at = 0; at < chunk.length; at += sliceBytes) {
        const text = this.utf8.push(chunk.subarray(at, at + sliceBytes));
        if (text === undefined) throw new UnreadableBody('the body is not valid UTF-8');
        yield* this.read(text, false);
        yield;
      }
    return { bytes: yield* joined(this.output.take()), terminal: false };
  }

  private *finish(): Work<Released> {
    if (!this.utf8.end()) throw new UnreadableBody('the body is not valid UTF-8');
    yield* this.read('', true);
    return { bytes: yield* joined(this.output.take()), terminal: true };
  }

  private *read(text: string, final: boolean): Work<void> {
    const { lexer, reader, output } = this;
    const gone = output.copied;
    lexer.feed(gone, text, final);
    reader.moved(gone);
    output.moved(gone, lexer.text);
    for (;;) {
      const state = lexer.run(lexSlice);
      yield* this.settle();
      if (state === 'failed') throw new UnreadableBody(`the body is not strict JSON: ${lexer.problem!.reason}`);
      if (state !== 'more') return;
      yield;
    }
  }

  /** Masks what is decided of what was read, and copies the rest up to there. */
  private *settle(): Work<void> {
    const { reader, lexer, output, values, usages } = this;
    yield* usages.see(reader);
    reader.textBytes = 0;
    const { candidates } = reader;
    reader.candidates = [];
    if (values === undefined) return yield* output.copy(lexer.reported);
    if (reader.saidTooLate)
      throw new UnreadableBody(`an item says of which text it is part after more than ${this.maxString} characters`);
    const decided = this.decided(candidates);
    let count = 0;
    for (const candidate of candidates.slice(0, decided)) {
      yield* this.mask(values, candidate);
      if (++count % 32 === 0) yield;
    }
    reader.candidates = candidates.slice(decided);
    const to = reader.candidates[0]?.start ?? lexer.reported;
    yield* output.copy(Math.min(to, reader.droppedFrom ?? to));
    // What is left out is not kept either.
    if (decided === candidates.length) output.copied = to;
  }

  /** How many of the places wait for nothing: those of an open item may be part of one text or another. */
  private decided(candidates: readonly Candidate[]): number {
    const { itemStart } = this.reader;
    if (itemStart === undefined || this.lexer.reported - itemStart > this.maxString) return candidates.length;
    const first = candidates.findIndex(({ start }) => start >= itemStart);
    return first < 0 ? candidates.length : first;
  }

  private *mask(values: JsonValues, candidate: Candidate): Work<void> {
    const { output } = this;
    const { kind, start, end } = candidate;
    if (kind === 'joined-end') return yield* output.replace(start, start, this.endTexts(candidate.frame!));
    if (kind === 'piece' || kind === 'last-piece') return yield* this.maskPiece(values, candidate);
    if (kind === 'drop') return yield* output.replace(Math.max(start, output.copied), end, 'null');
    if (yield* values.isLeftAlone(candidate)) return;
    if (kind === 'unnamed')
      settle(candidate, yield* this.unnamed(values.masks, candidate).mask(candidate.text, nameBefore(candidate)));
    else if (isJoined(candidate))
      settle(candidate, yield* this.text(values.masks, candidate).channel.pushLong(candidate.text));
    else yield* values.mask(candidate, output);
    if (candidate.becomes !== undefined) yield* output.replace(start, end, candidate.becomes);
  }

  private *maskPiece(values: JsonValues, candidate: Candidate): Work<void> {
    const { start, end, text } = candidate;
    const first = this.long === undefined;
    const last = candidate.kind === 'last-piece';
    this.long ??= yield* this.begin(values.masks, candidate);
    const { long } = this;
    if (last) this.long = undefined;
    if (long === 'media') {
      if (!hasOnlyBase64(first ? text.slice(this.headLength) : text))
        throw new UnreadableBody(`encoded media longer than ${this.maxString} characters are something else`);
      return;
    }
    let out = yield* long.pushLong(text);
    if (last && !isJoined(candidate)) out += long.end();
    yield* this.output.replace(start, end, (first ? '"' : '') + jsonInside(out) + (last ? '"' : ''));
  }

  /** Where it is decided whether a string is encoded media: every string that comes in pieces has that much in its first. */
  private get headLength(): number {
    return Math.floor(this.maxString / 6);
  }

  private *begin(masks: Findings, candidate: Candidate): Work<Channel | 'media'> {
    const { treatment, text } = candidate;
    if (yield* isMedia(treatment, text.slice(0, this.headLength))) return 'media';
    if (isJoined(candidate)) return this.text(masks, candidate).channel;
    const isJson = treatment === 'json';
    return new Channel([], isJson ? new ArgumentsMasker(masks) : masks.masker(nameBefore(candidate)));
  }

  /** The text that a string is part of. */
  private text(masks: Findings, candidate: Candidate): Text {
    const item = itemOf(candidate.frame!);
    const path = pathInArray(candidate, item);
    const text = found(this.texts, item.parent!, keyOf(path), () => ({
      channel: new Channel(path, masks.masker()),
      item,
      path: path.slice(1),
    }));
    text.item = item;
    return text;
  }

  /** The values of a place that the table does not name. */
  private unnamed(masks: Findings, candidate: Candidate): WholeText {
    const item = itemOf(candidate.frame!);
    return found(this.wholes, item.parent!, keyOf(pathInArray(candidate, item)), () => new WholeText(masks));
  }

  /** Items with what the texts of an array still hold at its end. */
  private endTexts(array: Frame): string {
    let items = '';
    for (const { channel, item, path } of this.texts.get(array)?.values() ?? []) {
      const rest = channel.end();
      if (rest !== '') items += `,${carrierAt(headerOf(item.header!), path, rest)}`;
    }
    this.texts.delete(array);
    this.wholes.delete(array);
    return items;
  }
}

/** Within the array of an item: what is around it may get its index later. */
function pathInArray({ frame, step }: Candidate, item: Frame): PathStep[] {
  return pathOf(frame, step).slice(pathOf(item.parent).length);
}

function found<T>(all: Map<Frame, Map<string, T>>, array: Frame, key: string, make: () => T): T {
  let inArray = all.get(array);
  if (inArray === undefined) {
    inArray = new Map();
    all.set(array, inArray);
  }
  let one = inArray.get(key);
  if (one === undefined) {
    if (inArray.size === maxTexts) throw new UnreadableBody(`more than ${maxTexts} texts in one array`);
    one = make();
    inArray.set(key, one);
  }
  return one;
}
