/** What the readers of request bodies have in common: facts are gathered while a body is walked, in slices. */
import { Check } from './check.ts';
import type { FormatId, Operation, ParameterValue, Reading, RequestFacts } from './facts.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type { Work } from './pace.ts';
import type { RuleNode } from './text-rules.ts';
import { Words } from './words.ts';

/** Messages, parts or tools looked at in one slice. */
const sliceItems = 64;
/** Characters of a text that is worth a slice of its own for each step. */
const longText = 64 * 1024;
const mostParameters = 128;
const longestParameter = 256;

/** What is known of a request before its texts are put together. */
export interface Head {
  readonly format: FormatId;
  readonly operation: Operation;
  readonly model: string;
  readonly stream: boolean;
  readonly choices?: number | undefined;
  readonly maxTokens?: number | undefined;
}

export class FactsDraft {
  private readonly filesByWords: boolean;
  readonly check = new Check();
  readonly tools: { name: string }[] = [];
  images = 0;
  audio = 0;
  files = 0;
  /** Something of the request was not read as text. */
  unread = false;
  private readonly messages: { role: string; text: string }[] = [];
  private readonly parameters = new Map<string, ParameterValue>();
  private readonly words = new Words();
  private readonly system: string[] = [];
  private items = 0;
  /** Texts of the message in progress that the rules do not find: decoded files. */
  private found: string[] = [];

  /** `filesByWords` false: where files stand there may be words in the clear, and the format's reader tells which are unread. */
  constructor({ filesByWords = true }: { readonly filesByWords?: boolean } = {}) {
    this.filesByWords = filesByWords;
  }

  /** To be asked for each item of a list that may be long. */
  *pause(): Work<void> {
    if (++this.items % sliceItems === 0) yield;
  }

  refusal(): Reading<never> | undefined {
    const { problem } = this.check;
    return problem === undefined ? undefined : { ok: false, code: 'invalid_request', message: problem };
  }

  /** A text of the message in progress, beside those that its rules name. */
  addText(text: string): void {
    this.found.push(text);
  }

  *addMessage(role: string, value: JsonValue, rule: RuleNode): Work<void> {
    const text = yield* this.textOf(value, rule);
    this.messages.push({ role, text });
    if (role === 'system' || role === 'developer') this.system.push(text);
    this.words.add(text);
    if (text.length > longText) yield;
  }

  /** Instructions that stand outside of the messages, after these; their words are in the body's rest. */
  *setSystem(value: JsonValue | undefined, rule: RuleNode): Work<void> {
    if (value === undefined || value === null) return;
    const { found } = this;
    this.system.unshift(yield* this.textOf(value, rule));
    this.found = found;
  }

  /** Counts one part by its media type. */
  countMedia(mediaType: string): void {
    const kind = mediaType.trim().toLowerCase();
    if (kind.startsWith('image/')) this.images++;
    else if (kind.startsWith('audio/') || kind.startsWith('video/')) this.audio++;
    else this.files++;
  }

  /** Scalar parameters by the names that the client used: those named, or all of the object. */
  takeParameters(object: JsonValue | undefined, names?: readonly string[], prefix = ''): void {
    if (!isJsonObject(object)) return;
    for (const name of names ?? Object.keys(object)) {
      const value = object[name];
      const isShort = typeof value === 'string' ? value.length <= longestParameter : isScalar(value);
      if (isShort && this.parameters.size < mostParameters) this.parameters.set(prefix + name, value as ParameterValue);
    }
  }

  /** The facts. `except`: the member of the body whose words are in the messages already. */
  *finish(head: Head, body: JsonObject, rule: RuleNode, except: string, bytes: number): Work<Reading<RequestFacts>> {
    const refusal = this.refusal();
    if (refusal !== undefined) return refusal;
    yield* this.words.collect(body, rule, except);
    for (const text of this.found) this.words.add(text);
    if (bytes > longText) yield;
    const text = this.words.text();
    const tokens = yield* this.words.tokens();
    if (this.filesByWords && this.words.unread) this.unread = true;
    return {
      ok: true,
      value: {
        format: head.format,
        operation: head.operation,
        model: head.model,
        stream: head.stream,
        choices: head.choices ?? 1,
        system: this.system.join('\n'),
        messages: this.messages,
        text,
        tools: this.tools,
        toolCall: undefined,
        images: this.images,
        audio: this.audio,
        files: this.files,
        unread: this.unread,
        maxTokens: head.maxTokens,
        parameters: this.parameters,
        tokens,
        bytes,
      },
    };
  }

  private *textOf(value: JsonValue, rule: RuleNode): Work<string> {
    const words = new Words();
    yield* words.collect(value, rule);
    for (const text of this.found) words.add(text);
    this.found = [];
    if (this.filesByWords && words.unread) this.unread = true;
    return words.text();
  }
}

function isScalar(value: JsonValue | undefined): boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
}

/** Roles are open (chat templates define them), but one that differs from a known one in its case is a trap. */
const plainRole = /^[a-z][a-z0-9_-]{0,63}$/;

export function checkRole(check: Check, role: string, at: string): string {
  if (!plainRole.test(role)) check.complain(`Invalid value for '${at}.role': expected a lower-case name.`);
  return role;
}
