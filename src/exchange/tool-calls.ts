/**
 * The tool calls of an answer, put together from its events: what rules are asked about before a call leaves. They are
 * read as the model wrote them, not masked.
 */
import { isJsonObject, type JsonObject, type JsonValue, parsingJson } from './json.ts';
import type { Work } from './pace.ts';
import { UnreadableBody } from './unreadable.ts';

/** A complete call. `arguments`: as JSON where they are strict JSON, else the text. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: JsonValue;
}

/** Longest arguments of the calls that are under way in one answer, UTF-16 units. */
export const MAX_ARGUMENTS = 1024 * 1024;

/** Calls of an answer that a rule is asked about: a bound on what an answer costs. */
const MAX_CALLS = 4096;

/** The calls are longer, or more, than rules can be asked about. The message is for the caller. */
export class TooLongCall extends Error {
  override readonly name = 'TooLongCall';
}

/** How a format says its tool calls. */
export interface ReadsToolCalls {
  /** Events say a call again that was said before; what is the same is no call of its own. */
  readonly repeats?: true;
  /** One event of a stream. False: nothing in it is, begins, goes on with or ends a call, whatever its texts are. */
  event(event: JsonObject, calls: ToolCalls): boolean;
  /** A body that is one JSON text. */
  body(body: JsonValue, calls: ToolCalls): void;
}

interface Open {
  id: string;
  /** Pieces of its name, in the order in which they came. */
  readonly names: string[];
  readonly pieces: string[];
  /** Arguments that came whole. */
  whole: JsonValue | undefined;
}

interface Ended {
  readonly names: readonly string[];
  readonly text: string;
  readonly whole: JsonValue | undefined;
}

/** The calls of one answer. */
export class ToolCalls {
  private readonly reads: ReadsToolCalls;
  /** Rules in force ask about them; not only such that are on trial. */
  readonly enforced: boolean;
  /** Rules on trial cannot be asked any more. */
  private given = false;
  private readonly under = new Map<string, Open>();
  private ended: Ended[] = [];
  /** By key, what was said last of a call that events repeat. */
  private readonly said = new Map<string, string>();
  private length = 0;
  private count = 0;

  /** `enforced` false: rules on trial are asked; what cannot be read for them is passed over. */
  constructor(reads: ReadsToolCalls, enforced: boolean) {
    this.reads = reads;
    this.enforced = enforced;
  }

  /** Whether a call must not leave yet: one has begun that is not complete, or nobody has been asked about it. */
  get holds(): boolean {
    return this.enforced && (this.under.size > 0 || this.ended.length > 0);
  }

  /** Reads one event, which is strict JSON. False: as `ReadsToolCalls.event`. */
  *event(json: string): Work<boolean> {
    if (this.given) return false;
    const event = yield* parsed(json);
    if (!isJsonObject(event)) return false;
    return this.tried(() => this.reads.event(event, this)) ?? true;
  }

  /** Reads a whole body, which is strict JSON. */
  *body(json: string): Work<void> {
    const body = yield* parsed(json);
    this.tried(() => this.reads.body(body, this));
    this.endAll();
  }

  /** The calls that are complete by now, each once. */
  *take(): Work<readonly ToolCall[]> {
    if (this.ended.length === 0) return none;
    const { ended } = this;
    this.ended = [];
    const calls: ToolCall[] = [];
    for (const { names, text, whole } of ended) {
      const value = whole ?? (yield* argumentsOf(text));
      for (const name of readings(names)) calls.push({ name, arguments: value });
    }
    return calls;
  }

  /** A piece of the call at a key: of its name, of its arguments' text, or these whole. */
  piece(key: string, name: string, text: string, whole?: JsonValue): void {
    let open = this.under.get(key);
    if (open === undefined) {
      open = { id: '', names: [], pieces: [], whole: undefined };
      this.under.set(key, open);
      this.counted();
    }
    if (name !== '') open.names.push(name);
    if (text !== '') open.pieces.push(text);
    if (whole !== undefined) open.whole = whole;
    this.length += name.length + text.length;
    if (this.length > MAX_ARGUMENTS)
      throw new TooLongCall(`The tool calls of the answer are longer than ${MAX_ARGUMENTS} characters.`);
  }

  /** Another call begins at a key where it has another id: the one before it is complete. */
  begin(key: string, id: string): void {
    if (id === '') return;
    const { id: before = '' } = this.under.get(key) ?? {};
    if (before !== '' && before !== id) this.end(key);
    this.piece(key, '', '');
    this.under.get(key)!.id = id;
  }

  /** Whether a call is under way at a key. */
  has(key: string): boolean {
    return this.under.has(key);
  }

  /** The call at a key is complete, if there is one. */
  end(key: string): void {
    const open = this.under.get(key);
    if (open === undefined) return;
    this.under.delete(key);
    const text = open.pieces.join('');
    // What came in pieces is what clients put together; a whole beside it is what the call began with.
    this.complete(key, { names: open.names, text, whole: text === '' ? open.whole : undefined });
    if (this.under.size === 0) this.length = 0;
  }

  /** The call at a key is said whole by what follows: what came of it in pieces is a reading of its own. */
  settle(key: string): void {
    if (this.under.get(key)?.pieces.length === 0) this.under.delete(key);
    else this.end(key);
  }

  nameOf(key: string): string {
    return this.under.get(key)?.names.at(-1) ?? '';
  }

  /** All calls whose keys begin so are complete. */
  endAll(prefix = ''): void {
    for (const key of [...this.under.keys()]) if (key.startsWith(prefix)) this.end(key);
  }

  /** A call that is there at once. `key`: where events repeat what they said; a repetition is no call of its own. */
  whole(name: string, text: string, value: JsonValue | undefined, key = ''): void {
    if (key === '') this.counted();
    if (text.length > MAX_ARGUMENTS)
      throw new TooLongCall(`A tool call of the answer is longer than ${MAX_ARGUMENTS} characters.`);
    this.complete(key, { names: [name], text, whole: value });
  }

  private complete(key: string, ended: Ended): void {
    if (this.reads.repeats && key !== '') {
      const said = JSON.stringify([readings(ended.names), ended.text, ended.whole], written);
      if (this.said.get(key) === said) return;
      this.said.set(key, said);
    }
    this.ended.push(ended);
  }

  private tried<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (this.enforced) throw error;
      this.given = true;
      this.under.clear();
      return undefined;
    }
  }

  private counted(): void {
    if (++this.count > MAX_CALLS) throw new TooLongCall(`The answer has more than ${MAX_CALLS} tool calls.`);
  }
}

const none: readonly ToolCall[] = [];

const written = (_name: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);

/**
 * What clients may take for a call's name where it came in pieces: some keep the last one, some put them together. Servers
 * that repeat the name in each event mean that one.
 */
function readings(names: readonly string[]): readonly string[] {
  const last = names.at(-1) ?? '';
  return names.every((name) => name === last) ? [last] : [last, names.join('')];
}

function* argumentsOf(text: string): Work<JsonValue> {
  if (text === '') return text;
  const json = yield* parsingJson(text);
  return json.ok ? json.value : text;
}

/** The value of a text that has been found to be strict JSON. */
function* parsed(json: string): Work<JsonValue> {
  const value = yield* parsingJson(json);
  if (!value.ok) throw new UnreadableBody('the answer has more values than rules on tool calls can be asked about');
  return value.value;
}

/** The objects of a list, or the one where servers leave the list out. What is neither could be anything: it is refused. */
export function objectsOf(value: JsonValue | undefined): readonly JsonObject[] {
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value : [value];
  return list.map((item) => {
    if (!isJsonObject(item)) throw new UnreadableBody('a list of tool calls or of what may have them has other items');
    return item;
  });
}

/** The object at a name, if there is one. */
export function objectAt(object: JsonObject, name: string): JsonObject | undefined {
  const value = object[name];
  return isJsonObject(value) ? value : undefined;
}

/** The text at a name: a name or arguments. Not there: empty. What is no text is refused. */
export function textAt(object: JsonObject, name: string): string {
  const value = object[name];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new UnreadableBody('a tool call whose name or arguments are no text');
  return value;
}

/** An index, or the place where there is none. */
export function placeOf(object: JsonObject, place: number): string {
  const { index } = object;
  return String(typeof index === 'number' ? index : place);
}
