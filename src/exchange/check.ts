/** Reads the fields of a request's body strictly. Complaints are worded as OpenAI words them. */
import { bareObject, isJsonObject, type JsonObject, type JsonValue } from './json.ts';

/** Reads fields, remembers the first complaint, and goes on with harmless defaults. */
export class Check {
  problem: string | undefined;

  complain(problem: string): undefined {
    this.problem ??= problem;
  }

  /**
   * Some servers match names without regard to case (Go's encoding/json does), or end them at a NUL, so a name that
   * differs from one we read in nothing but case, width or what cannot be seen would be read by them and not by us.
   */
  names(object: JsonObject, known: ReadonlySet<string>, at: string): void {
    const folded = foldedNames(known);
    const names = Object.keys(object);
    // Looked at in one go: an object that an API defines has a few dozen.
    if (names.length > MOST_NAMES) {
      this.complain(`Invalid ${at || 'request'}: more than ${MOST_NAMES} names.`);
      return;
    }
    for (const name of names) {
      if (known.has(name)) continue;
      const text = name.split('\0', 1)[0]!;
      if (text.length > 64) continue;
      const plain = PRINTABLE.test(text) ? text : text.normalize('NFKC').replace(UNSEEN, '');
      if (folded.has(plain.toLowerCase()))
        this.complain(
          `Unrecognized request argument supplied${at && ` in '${at}'`}: a name that differs from a known one only in case or by unseen characters.`,
        );
    }
  }

  object(value: JsonValue | undefined, path: string): JsonObject {
    if (isJsonObject(value)) return value;
    this.wrongType(path, 'an object', value);
    return bareObject();
  }

  requiredText(object: JsonObject, name: string, at = ''): string {
    const value = this.optionalText(object, name, at);
    if (value === undefined) this.complain(`Missing required parameter: '${join(at, name)}'.`);
    return value ?? '';
  }

  optionalText(object: JsonObject, name: string, at = ''): string | undefined {
    const value = object[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') return this.wrongType(join(at, name), 'a string', value);
    return value;
  }

  optionalBoolean(object: JsonObject, name: string): boolean | undefined {
    const value = object[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'boolean') return this.wrongType(name, 'a boolean', value);
    return value;
  }

  optionalInteger(object: JsonObject, name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = object[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'bigint' && (typeof value !== 'number' || !Number.isInteger(value)))
      return this.wrongType(name, 'an integer', value);
    if (value < least || value > most) {
      const [bound, word] = value < least ? [least, 'below minimum'] : [most, 'above maximum'];
      this.complain(
        `Invalid '${name}': integer ${word} value. Expected a value ${value < least ? '>=' : '<='} ${bound}, but got ${value} instead.`,
      );
      return undefined;
    }
    return Number(value);
  }

  requiredArray(object: JsonObject, name: string): readonly JsonValue[] {
    const value = object[name];
    if (value === undefined || value === null) this.complain(`Missing required parameter: '${name}'.`);
    const items = this.optionalArray(object, name, '');
    if (items.length === 0)
      this.complain(
        `Invalid '${name}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      );
    return items;
  }

  optionalArray(object: JsonObject, name: string, at: string): readonly JsonValue[] {
    const value = object[name];
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    this.wrongType(join(at, name), 'an array of objects', value);
    return [];
  }

  private wrongType(path: string, expected: string, value: JsonValue | undefined): undefined {
    this.complain(`Invalid type for '${path}': expected ${expected}, but got ${kindOf(value)} instead.`);
  }
}

const MOST_NAMES = 1024;
/** Nothing to fold but the case: most names, and there may be thousands. */
const PRINTABLE = /^[ -~]*$/;
/** Names that a reader knows, written in one line. */
export const names = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Control and format characters: zero width spaces and joiners, marks of direction, … */
const UNSEEN = /[\p{Cc}\p{Cf}]/gu;

const foldedSets = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>();

/** Names in lower case: those of some APIs have capitals. */
function foldedNames(known: ReadonlySet<string>): ReadonlySet<string> {
  let names = foldedSets.get(known);
  if (names === undefined) {
    names = new Set([...known].map((name) => name.toLowerCase()));
    foldedSets.set(known, names);
  }
  return names;
}

function join(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

export function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'a string';
  if (typeof value === 'boolean') return 'a boolean';
  return typeof value === 'bigint' || Number.isInteger(value) ? 'an integer' : 'a decimal';
}
