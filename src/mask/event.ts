/** Masks one event of a stream: JSON in, JSON out, with the carriers that must go before it. */
import { ownText } from '../detect/units.ts';
import type { EventKind, Format, PathStep } from '../exchange/format.ts';
import { lexSlice } from '../exchange/json.ts';
import { JsonLexer } from '../exchange/json-lexer.ts';
import type { Work } from '../exchange/pace.ts';
import { isMedia, isStructural } from '../exchange/text-rules.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { type Channel, maskedText } from './channel.ts';
import { Channels } from './channels.ts';
import { jsonInside, wholeEnd } from './escaped-string.ts';
import type { Findings } from './findings.ts';
import { type Candidate, isOutermost, nameBefore, pathOf, TextReader } from './text-reader.ts';
import type { UsageReader } from './usage.ts';

export interface MaskedEvent {
  readonly json: string;
  /** Events that carry what ended channels still held, to be sent before this one. */
  readonly carriers: readonly string[];
  /** The stream is over with this event. */
  readonly terminal: boolean;
  /** Set when the event's only text is one piece of this channel: the next event may differ in nothing but this span. */
  readonly only: OnlyPiece | undefined;
}

export interface OnlyPiece {
  /** Undefined where nothing is masked. */
  readonly channel: Channel | undefined;
  readonly start: number;
  readonly end: number;
}

/** An event of a format whose paths say it all. */
const plain: EventKind = { scope: '', texts: 'pieces', ends: undefined, terminal: false };

/** Pieces of this event: what becomes of the last one of each channel. */
type Pieces = Map<Channel, { last: Candidate; text: string }>;

/** Characters of an event that is worth a slice of its own for each step. */
export const longEvent = 64 * 1024;

/** Longest structural string that is remembered. */
const longestClean = 256;

/** Values in one JSON text: more than any answer has, and a bound on the time it takes. */
export const maxValues = 4_000_000;

export class EventMasker {
  private readonly format: Format;
  private readonly findings: Findings | undefined;
  private readonly channels: Channels | undefined;
  private readonly usage: UsageReader;
  private readonly calls: ToolCalls | undefined;
  /** Texts of an event are being put into their channels: should that fail, what is held has a hole before it. */
  private deciding = false;
  /** By name, the last structural string of the outermost object in which nothing was found: most are in every event. */
  private readonly clean = new Map<string, string>();

  /** `findings` undefined: events are read and not changed. `calls`: hears of each event. */
  constructor(format: Format, findings: Findings | undefined, usage: UsageReader, calls: ToolCalls | undefined) {
    this.calls = calls;
    this.format = format;
    this.findings = findings;
    this.channels = findings && new Channels(findings);
    this.usage = usage;
  }

  /** `final`: nothing comes after this event, so all channels end with it. Throws UnreadableBody. */
  *mask(json: string, final = false): Work<MaskedEvent> {
    const reader = yield* this.read(json);
    yield* this.usage.see(reader);
    const kind = this.format.events?.kind(reader.said) ?? plain;
    const terminal = kind.terminal || reader.terminal;
    const { channels } = this;
    const isCall = this.calls !== undefined && (yield* this.calls.event(json));
    if (final || terminal || reader.error) this.calls?.endAll();
    const mayRepeat = !terminal && !isCall && kind.ends === undefined;
    if (channels === undefined)
      return { json, carriers: [], terminal, only: mayRepeat ? onlyPiece(reader, undefined) : undefined };
    const pieces: Pieces = new Map();
    this.deciding = true;
    // Carriers repeat the header, so it is masked before anything is put in a channel.
    for (const candidate of reader.candidates)
      if (isStructural(candidate.treatment)) yield* this.decideStructural(channels, candidate, kind);
    const { header } = reader;
    for (const candidate of reader.candidates)
      if (!isStructural(candidate.treatment)) yield* this.decide(channels, candidate, { header, pieces, kind });
    const carriers = this.endChannels(channels, endedBy(reader, kind, final), pieces);
    const only = mayRepeat && pieces.size === 1 ? onlyPiece(reader, pieces.keys().next().value) : undefined;
    for (const { last, text } of pieces.values()) yield* settleLong(last, text);
    this.deciding = false;
    if (json.length > longEvent) yield 'long';
    return { json: rewritten(json, reader.candidates), carriers, terminal, only };
  }

  /** The carriers of everything that is still held: nothing comes after them. */
  end(): string[] {
    const carriers: string[] = [];
    this.calls?.endAll();
    if (this.deciding) return carriers;
    for (const channel of this.channels?.close([]) ?? []) this.carry(channel, channel.end(), carriers);
    return carriers;
  }

  /** A text outside of JSON that is complete in its event. */
  *maskOutside(name: string, text: string): Work<string> {
    return this.channels === undefined ? text : yield* this.channels.whole([name]).mask(text);
  }

  /** Reads a JSON text strictly, and finds its texts. Throws UnreadableBody. */
  private *read(json: string): Work<TextReader> {
    const { findings } = this;
    const maskName = findings && ((name: string) => findings.mask(name));
    const reader = new TextReader(this.format.eventText, maskName, this.clean, this.format.events?.members);
    const lexer = new JsonLexer(json, reader, { maxValues });
    reader.lexer = lexer;
    for (;;) {
      const state = lexer.run(lexSlice);
      if (state === 'failed') throw new UnreadableBody(`an event is not strict JSON: ${lexer.problem!.reason}`);
      if (state === 'done') break;
      yield;
    }
    if (!reader.isObject) throw new UnreadableBody('an event is not a JSON object');
    return reader;
  }

  /** Clients keep the last value of such a field of the event itself; those deeper down some of them put together. */
  private *decideStructural(channels: Channels, candidate: Candidate, { texts }: EventKind): Work<void> {
    const { kind, frame, step, text } = candidate;
    if (kind === 'number') settle(candidate, this.findings!.mask(text));
    else if (texts === 'complete' && !isOutermost(frame))
      settle(candidate, yield* maskedText(this.findings!, text, false));
    else if (!isOutermost(frame)) settle(candidate, yield* channels.whole(pathOf(frame, step)).mask(text));
    else {
      settle(candidate, yield* maskedText(this.findings!, text, false));
      if (candidate.becomes === undefined && text.length <= longestClean) this.clean.set(String(step), ownText(text));
    }
  }

  private *decide(
    channels: Channels,
    candidate: Candidate,
    { header, pieces, kind }: { header: string; pieces: Pieces; kind: EventKind },
  ): Work<void> {
    const { treatment, text } = candidate;
    if (candidate.kind === 'name') return;
    if (candidate.kind === 'drop') candidate.becomes = 'null';
    else if (candidate.kind === 'number') settle(candidate, this.findings!.mask(text, nameBefore(candidate)));
    else if (yield* isMedia(treatment, text)) return;
    else if (kind.texts === 'complete')
      yield* settleLong(
        candidate,
        yield* maskedText(this.findings!, text, treatment === 'json', nameBefore(candidate)),
      );
    else if (treatment === 'channel' || treatment === 'json') {
      const isJson = treatment === 'json' || kind.texts === 'json-pieces';
      const channel = channels.channel(
        pathOf(candidate.frame, candidate.step),
        isJson,
        kind.scope,
        nameBefore(candidate),
      );
      const out = yield* channel.pushLong(text);
      channel.header = header;
      const earlier = pieces.get(channel);
      if (earlier !== undefined) settle(earlier.last, earlier.text);
      pieces.set(channel, { last: candidate, text: out });
    } else {
      const whole = channels.whole(pathOf(candidate.frame, candidate.step));
      settle(candidate, yield* whole.mask(text, nameBefore(candidate)));
    }
  }

  /** What ended channels still held goes into their piece of this event, or, where there is none, into a carrier. */
  private endChannels(channels: Channels, ended: readonly (readonly PathStep[])[], pieces: Pieces): string[] {
    const carriers: string[] = [];
    for (const path of ended) {
      for (const channel of channels.close(path)) {
        const rest = channel.end();
        const piece = pieces.get(channel);
        if (piece === undefined) this.carry(channel, rest, carriers);
        else piece.text += rest;
      }
    }
    return carriers;
  }

  private carry(channel: Channel, text: string, carriers: string[]): void {
    if (text !== '') carriers.push(this.format.carrier(channel.header, channel.path, text));
  }
}

/** Paths below which all texts end with an event. */
function endedBy(reader: TextReader, kind: EventKind, final: boolean): readonly (readonly PathStep[])[] {
  if (final || reader.error || reader.terminal || kind.terminal || kind.ends === 'all') return [[]];
  const scope = kind.scope === '' ? [] : [kind.scope];
  const ended = reader.ended.map((frame) => [...scope, ...pathOf(frame)]);
  return kind.ends === undefined ? ended : [...ended, [kind.ends.scope]];
}

/** Sets what a candidate becomes, where its text changed. A masked number becomes a quoted string. */
export function settle(candidate: Candidate, text: string): void {
  if (text !== candidate.text) candidate.becomes = JSON.stringify(text);
}

/** As `settle`, for a string of any length. */
export function* settleLong(candidate: Candidate, text: string): Work<void> {
  if (text.length <= longEvent) return settle(candidate, text);
  yield 'long';
  if (text === candidate.text) return;
  let becomes = '"';
  for (let at = 0; at < text.length; ) {
    yield;
    const end = wholeEnd(text, at + longEvent);
    becomes += jsonInside(text.slice(at, end));
    at = end;
  }
  candidate.becomes = `${becomes}"`;
}

/** The one piece of a text in an event of which nothing else changes or matters. */
function onlyPiece(reader: TextReader, channel: Channel | undefined): OnlyPiece | undefined {
  if (reader.ended.length > 0 || reader.error || reader.terminal) return undefined;
  if (reader.inputTokens !== undefined || reader.outputTokens !== undefined) return undefined;
  let only: Candidate | undefined;
  for (const candidate of reader.candidates) {
    if (candidate.treatment === 'channel' || candidate.treatment === 'json') {
      if (only !== undefined || candidate.kind !== 'string') return undefined;
      only = candidate;
    } else if (candidate.becomes !== undefined) return undefined;
  }
  return only && { channel, start: only.start, end: only.end };
}

/** The text with its candidates replaced; everything else byte for byte. */
function rewritten(json: string, candidates: readonly Candidate[]): string {
  let out = '';
  let copied = 0;
  for (const { becomes, start, end } of candidates) {
    if (becomes === undefined) continue;
    out += json.slice(copied, start) + becomes;
    copied = end;
  }
  return copied === 0 ? json : out + json.slice(copied);
}
