/** Reads a JSON body strictly, as a value. */
import type { Reading } from './facts.ts';
import { type JsonHandler, JsonLexer, type JsonProblem } from './json-lexer.ts';
import { paced, type Work } from './pace.ts';
import { decodeUtf8 } from './utf8.ts';

/** An object that inherits nothing: `__proto__` is a member like any other, and `toString` is not there. */
export interface JsonObject {
  [name: string]: JsonValue;
}

/** Makes such objects; unlike those of `Object.create(null)`, V8 keeps them small. */
const Bare = function Bare() {} as unknown as new () => JsonObject;
Bare.prototype = Object.create(null);

export function bareObject(): JsonObject {
  return new Bare();
}

/** An integer beyond ±(2^53 − 1) is a bigint, so that its value is kept exactly. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;

/** Characters lexed in one step: a fraction of a millisecond at its worst (short members of large objects). */
export const lexSlice = 8 * 1024;

/**
 * Reads the bytes of a JSON text. Refused, with the byte's offset: anything but UTF-8, a byte order mark, names used
 * twice (also when one is spelled with escapes), nesting over 64, lone surrogates, numbers out of range, control
 * characters, anything after the value. Long texts are read in slices and answered by a promise.
 */
export function readJson(bytes: Uint8Array): Reading<JsonValue> | Promise<Reading<JsonValue>> {
  return paced(readingJson(bytes));
}

/** The same as work in slices, for a reader that has more to do with the value. */
export function* readingJson(bytes: Uint8Array): Work<Reading<JsonValue>> {
  const text = yield* decodeUtf8(bytes);
  if (text === undefined) return refused('The body is not valid UTF-8.');
  return yield* parsingJson(text);
}

/** Reads a text that is decoded already. */
export function* parsingJson(text: string): Work<Reading<JsonValue>> {
  const builder = new ValueBuilder();
  const lexer = new JsonLexer(text, builder);
  builder.lexer = lexer;
  for (;;) {
    const state = lexer.run(lexSlice);
    if (state === 'done') return { ok: true, value: builder.value };
    if (state === 'failed') return refused(describe(text, lexer.problem!));
    yield;
  }
}

/** Whether a text is strict JSON. `maxValues`: most values in it. */
export function* isStrictJson(text: string, maxValues: number): Work<boolean> {
  const lexer = new JsonLexer(text, ignoring, { maxValues });
  for (;;) {
    const state = lexer.run(lexSlice);
    if (state !== 'more') return state === 'done';
    yield;
  }
}

const ignoring: JsonHandler = { open() {}, close() {}, key() {}, string() {}, number() {}, literal() {} };

/** `<reason> (at byte N).` */
function describe(text: string, problem: JsonProblem): string {
  return `${problem.reason} (at byte ${Buffer.byteLength(text.slice(0, problem.offset))}).`;
}

function refused(detail: string): Reading<never> {
  return { ok: false, code: 'invalid_json', message: `We could not parse the JSON body of your request: ${detail}` };
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class ValueBuilder implements JsonHandler {
  value: JsonValue = null;
  lexer: JsonLexer | undefined;
  private readonly stack: (JsonObject | JsonValue[])[] = [];
  private name = '';

  open(kind: 'object' | 'array'): void {
    const container: JsonObject | JsonValue[] = kind === 'array' ? [] : bareObject();
    this.add(container);
    this.stack.push(container);
  }

  close(): void {
    this.stack.pop();
  }

  key(name: string): void {
    this.name = name;
  }

  string(): void {
    this.add(this.lexer!.decoded());
  }

  number(start: number, end: number, big: boolean): void {
    const raw = this.lexer!.text.slice(start, end);
    this.add(big ? BigInt(raw) : Number(raw));
  }

  literal(value: true | false | null): void {
    this.add(value);
  }

  private add(value: JsonValue): void {
    const top = this.stack[this.stack.length - 1];
    if (top === undefined) this.value = value;
    else if (Array.isArray(top)) top.push(value);
    else top[this.name] = value;
  }
}
