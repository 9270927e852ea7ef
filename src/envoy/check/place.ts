/** A place in a configuration: its value, its path, and (in YAML) its line. */
import { isNode, LineCounter, parseAllDocuments } from 'yaml';

export type Key = string | number;

/** Where a value was written. `line` is from 1; undefined where there is none (JSON, values that we derived). */
export interface Source {
  readonly label: string;
  readonly line: (path: readonly Key[]) => number | undefined;
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `failure_mode_allow` is `failureModeAllow` in protobuf's other JSON form; Envoy takes both. */
function camel(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

export class Place {
  readonly value: unknown;
  readonly path: readonly Key[];
  readonly source: Source;

  constructor(value: unknown, path: readonly Key[], source: Source) {
    this.value = value;
    this.path = path;
    this.source = source;
  }

  get exists(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** Goes down by keys in snake_case; the same key in camelCase is found too. What is missing is a place without a value. */
  get(...keys: readonly Key[]): Place {
    let place: Place = this;
    for (const key of keys) place = place.step(key);
    return place;
  }

  private step(key: Key): Place {
    const { value } = this;
    if (Array.isArray(value) && typeof key === 'number') return this.child(value[key], key);
    if (!isMapping(value)) return this.child(undefined, key);
    const name = String(key);
    const found = Object.hasOwn(value, name) ? name : camel(name);
    return Object.hasOwn(value, found) ? this.child(value[found], found) : this.child(undefined, name);
  }

  private child(value: unknown, key: Key): Place {
    return new Place(value, [...this.path, key], this.source);
  }

  items(): readonly Place[] {
    return Array.isArray(this.value) ? this.value.map((_, index) => this.get(index)) : [];
  }

  /** Keys as they are written, for maps with names of their own. */
  entries(): readonly (readonly [string, Place])[] {
    return isMapping(this.value) ? Object.keys(this.value).map((key) => [key, this.child(this.at(key), key)]) : [];
  }

  private at(key: string): unknown {
    return isMapping(this.value) ? this.value[key] : undefined;
  }

  /** Type of an Any, without its package: `ExtAuthz`. */
  get type(): string {
    return this.get('@type').text.split('.').at(-1) ?? '';
  }

  get text(): string {
    return typeof this.value === 'string' ? this.value : '';
  }

  get isTrue(): boolean {
    return this.value === true;
  }

  /** A protobuf duration (`0.2s`) or a Kubernetes one (`1m30s`) in seconds; undefined when it is none. */
  get seconds(): number | undefined {
    const units = { h: 3600, m: 60, s: 1, ms: 0.001 } as const;
    const match = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.exec(this.text);
    if (match === null) return undefined;
    let total = 0;
    for (const [, amount, unit] of this.text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g))
      total += Number(amount) * units[unit as keyof typeof units];
    return total;
  }

  /** 64-bit numbers are strings in protobuf's JSON. */
  get number(): number | undefined {
    const { value } = this;
    if (typeof value === 'number') return value;
    return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : undefined;
  }

  /** An enum by name, whether it is written by name or by number. */
  oneOf(names: readonly string[]): string | undefined {
    if (typeof this.value === 'number') return names[this.value] ?? String(this.value);
    return typeof this.value === 'string' ? this.value : undefined;
  }

  get line(): number | undefined {
    return this.source.line(this.path);
  }

  /** `static_resources.listeners[0].name`, after the label of the document where it has one. */
  get where(): string {
    const path = this.path
      .map((key) =>
        typeof key === 'number' ? `[${key}]` : /^[\w@-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`,
      )
      .join('')
      .replace(/^\./, '');
    return this.source.label === '' ? path : `${this.source.label}${path === '' ? '' : `: ${path}`}`;
  }
}

export type ParsedText =
  | { readonly ok: true; readonly documents: readonly Place[] }
  | { readonly ok: false; readonly error: string };

/** JSON, or YAML of one or more documents. */
export function readPlaces(text: string): ParsedText {
  const start = text.trimStart();
  if (start.startsWith('{') || start.startsWith('['))
    try {
      const source: Source = { label: '', line: () => undefined };
      return { ok: true, documents: [new Place(JSON.parse(text), [], source)] };
    } catch {
      // A YAML flow mapping may start so too; the YAML parser says what is wrong with the rest.
    }
  return readYaml(text);
}

function readYaml(text: string): ParsedText {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, merge: true });
  const documents: Place[] = [];
  for (const document of parsed) {
    const [error] = document.errors;
    if (error !== undefined) return { ok: false, error: error.message };
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: 1_000 });
    } catch (problem) {
      return { ok: false, error: problem instanceof Error ? problem.message : 'an alias cannot be resolved' };
    }
    if (!isMapping(value)) continue;
    const line = (path: readonly Key[]): number | undefined => {
      for (let length = path.length; length >= 0; length--) {
        const node = document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return undefined;
    };
    documents.push(new Place(value, [], { label: labelOf(value), line }));
  }
  return documents.length === 0 ? { ok: false, error: 'there is no mapping in it' } : { ok: true, documents };
}

/** `SecurityPolicy models/sallyport` for a Kubernetes object. */
function labelOf(value: Readonly<Record<string, unknown>>): string {
  const { kind, metadata } = value;
  if (typeof kind !== 'string' || !isMapping(metadata)) return '';
  const { name, namespace } = metadata;
  return `${kind} ${typeof namespace === 'string' ? `${namespace}/` : ''}${String(name)}`;
}
