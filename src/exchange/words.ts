import { decodedFile } from './encoded-text.ts';
import { isJsonObject, type JsonObject, type JsonValue, parsingJson } from './json.ts';
import type { Work } from './pace.ts';
import {
  isEncoded,
  isMedia,
  isStructural,
  memberRule,
  numberLeftAlone,
  type RuleNode,
  type Treatment,
} from './text-rules.ts';
import { estimatedTokens, utf8Length } from './text-size.ts';

/** Values looked at in one step: a fraction of a millisecond. */
const sliceValues = 500;
/** Numbers with fewer digits are parameters, not card or phone numbers. */
const shortestNumber = 7;
/** What an id, a role or an enumeration looks like; a structural string that does not is words. */
const structuralShape = /^[A-Za-z0-9_.:/-]{0,128}$/;
const longestStructural = 128;
/** Texts from this length on are worth a slice of their own for what looks into them. */
const longText = 64 * 1024;

/** A place in an object or array that is being walked. */
interface Walk {
  readonly value: JsonObject | JsonValue[];
  readonly names: readonly string[] | undefined;
  readonly rule: RuleNode;
  next: number;
}

/** Collects all that could carry words in a value, in the order of the document, joined by newlines. */
export class Words {
  private parts: string[] = [];
  private partsLength = 0;
  /** Joined bundles of parts, and long texts: one join of a million small strings would hold the event loop. */
  private readonly bundles: string[] = [];
  private seen = 0;
  /** A file was not read as text: media, other bytes, or an address of one. */
  unread = false;

  /** Adds every text of `value` that `rule` does not call structural (and looks it): strings, long numbers, names that the format does not know. */
  *collect(value: JsonValue, rule: RuleNode, except?: string): Work<void> {
    const stack: Walk[] = [];
    yield* this.one(value, rule, stack);
    while (stack.length > 0) {
      const walk = stack[stack.length - 1]!;
      const { names, next } = walk;
      if (next >= (names ?? (walk.value as JsonValue[])).length) {
        stack.pop();
        continue;
      }
      walk.next++;
      if (++this.seen % sliceValues === 0) {
        this.bundle();
        yield;
      }
      if (names === undefined) yield* this.one((walk.value as JsonValue[])[next]!, walk.rule.items, stack);
      else {
        const name = names[next]!;
        if (name === except && stack.length === 1) continue;
        const inner = memberRule(walk.rule, name);
        if (inner === walk.rule.otherMembers) this.push(name);
        yield* this.one((walk.value as JsonObject)[name]!, inner, stack);
      }
    }
  }

  add(text: string): void {
    if (text !== '') this.push(text);
  }

  /** A text of more than `longText` characters is not copied together: V8 does that when a rule first reads it, and few do. */
  text(): string {
    this.bundle();
    const { bundles } = this;
    if (bundles.length < 2) return bundles[0] ?? '';
    if (bundles.reduce((sum, { length }) => sum + length, 0) <= longText) return bundles.join('\n');
    let text = bundles[0]!;
    for (let i = 1; i < bundles.length; i++) text += `\n${bundles[i]!}`;
    return text;
  }

  /** Estimated tokens of `text()`, which is not put together for it. */
  *tokens(): Work<number> {
    this.bundle();
    let bytes = Math.max(0, this.bundles.length - 1);
    for (const bundle of this.bundles) {
      bytes += yield* utf8Length(bundle);
      if (bundle.length > longText) yield;
    }
    return estimatedTokens(bytes);
  }

  private push(text: string): void {
    if (text.length > longText) {
      this.bundle();
      this.bundles.push(text);
      return;
    }
    this.parts.push(text);
    this.partsLength += text.length;
    if (this.partsLength > longText) this.bundle();
  }

  private bundle(): void {
    const { parts } = this;
    if (parts.length === 0) return;
    // Array.prototype.join copies a single text as well.
    this.bundles.push(parts.length === 1 ? parts[0]! : parts.join('\n'));
    this.parts = [];
    this.partsLength = 0;
  }

  private *one(value: JsonValue, rule: RuleNode, stack: Walk[]): Work<void> {
    if (typeof value === 'string') {
      if (isEncoded(rule.treatment)) {
        yield* this.file(rule.treatment, value);
        return;
      }
      if (isStructural(rule.treatment) && value.length <= longestStructural && structuralShape.test(value)) return;
      // Escapes would hide words in a JSON text inside a string: read it, where it can be read.
      if (rule.treatment === 'json') {
        // Looking into it puts it together.
        if (value.length > longText) yield 'long';
        if (!value.includes('\\')) return this.add(value);
        const inner = yield* parsingJson(value);
        yield;
        if (inner.ok) {
          yield* this.one(inner.value, rule.otherMembers, stack);
          return;
        }
      }
      this.add(value);
    } else if (typeof value === 'number' || typeof value === 'bigint') {
      const digits = String(value);
      if (numberLeftAlone(rule.treatment, digits)) return;
      if (digits.length >= shortestNumber) this.push(digits);
    } else if (Array.isArray(value)) stack.push({ value, names: undefined, rule, next: 0 });
    else if (isJsonObject(value)) stack.push({ value, names: Object.keys(value), rule, next: 0 });
  }

  /** A string that is base64 by the format, or should be: its words as they are written, and those of a file in it. */
  private *file(treatment: Treatment, value: string): Work<void> {
    if (value === '') return;
    if (!(yield* isMedia(treatment, value))) this.add(value);
    const decoded = yield* decodedFile(value);
    if (decoded.kind === 'text') this.add(decoded.text);
    if (treatment === 'binary' && !(decoded.kind === 'text' && decoded.exact)) this.unread = true;
  }
}
