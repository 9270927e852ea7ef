import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLParseError,
  type YAMLWarning,
} from 'yaml';
import type { z } from 'zod';

/** One thing that is wrong with a file, and where. `path` is empty for trouble with the file as a whole; lines count from 1. */
export interface Problem {
  /** `identity.providers[0].audience` */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

type Path = readonly PropertyKey[];

const maxFileBytes = 1024 * 1024;
/** A file that is something else entirely would be reported line by line. */
const maxProblems = 50;

/**
 * Reads a YAML 1.2 text by a schema. Refused: more than one document, duplicate keys, anchors and aliases (they can grow
 * without bound), tags (`!!binary`, `!anything`), keys that are not strings, texts over 1 MiB. Reports every problem with
 * its path, line and column.
 */
export function readYaml<S extends z.ZodType>(text: string, schema: S): Read<z.output<S>> {
  if (Buffer.byteLength(text) > maxFileBytes) return { ok: false, problems: [whole('is larger than 1 MiB')] };
  const lines = new LineCounter();
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: '1.2' });
  } catch (error) {
    // Nesting deep enough to exhaust the stack ends here.
    return {
      ok: false,
      problems: [whole(`cannot be read as YAML (${error instanceof Error ? error.name : 'unknown'})`)],
    };
  }
  const syntax = [...document.errors, ...document.warnings].map(
    (issue): Problem => ({
      path: '',
      ...at(issue.pos[0]),
      message: syntaxMessage(issue),
    }),
  );
  const unwanted = syntax.length > 0 ? [] : refusedNodes(document.contents, at);
  if (syntax.length + unwanted.length > 0)
    return { ok: false, problems: [...syntax, ...unwanted].slice(0, maxProblems) };

  const result = schema.safeParse(document.toJS() ?? {}, { reportInput: true });
  if (result.success) return { ok: true, value: result.data };
  const place = (path: Path, key: boolean) => at(offsetOf(document.contents, path, key));
  const problems = result.error.issues.flatMap((issue) => explain(issue, schema, place));
  return {
    ok: false,
    problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, maxProblems),
  };
}

function syntaxMessage(issue: YAMLParseError | YAMLWarning): string {
  if (issue.code === 'DUPLICATE_KEY') return 'this key is here twice';
  if (issue.code === 'MULTIPLE_DOCS') return 'a second document begins here; one is read';
  if (/call stack/i.test(issue.message)) return 'nested too deeply';
  return lowerFirst(issue.message);
}

const whole = (message: string): Problem => ({ path: '', line: 1, column: 1, message });

/** `identity.providers[0].audience` */
export function pathText(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('');
}

function refusedNodes(root: unknown, at: (offset: number) => { line: number; column: number }): Problem[] {
  const found: Problem[] = [];
  const refuse = (node: Node, message: string) => found.push({ path: '', ...at(node.range?.[0] ?? 0), message });
  if (!isNode(root)) return found;
  visit(root, {
    Pair: (_, pair) => {
      if (isNode(pair.key) && !(isScalar(pair.key) && typeof pair.key.value === 'string'))
        refuse(pair.key, 'keys must be plain strings');
    },
    Node: (_, node) => {
      if (isAlias(node)) refuse(node, 'aliases (*name) are not allowed');
      else if (node.anchor !== undefined) refuse(node, 'anchors (&name) are not allowed');
      else if (node.tag !== undefined) refuse(node, 'tags (!name) are not allowed');
    },
  });
  return found;
}

/** Where the value (or, if `key`, the last key) of a path begins; for what is missing, its nearest ancestor. */
function offsetOf(root: unknown, path: Path, key: boolean): number {
  let node: unknown = root;
  let offset = isNode(root) ? (root.range?.[0] ?? 0) : 0;
  for (const [index, part] of path.entries()) {
    const isLast = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === part);
      if (pair === undefined) return offset;
      const keyNode = isNode(pair.key) ? pair.key : undefined;
      const valueNode = isNode(pair.value) ? pair.value : undefined;
      // A value that is a block begins on a later line; its key is what a reader looks for.
      const useKey = (isLast && key) || valueNode === undefined || !isScalar(valueNode);
      offset = (useKey ? keyNode : valueNode)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (typeof node === 'object' && node !== null && 'items' in node && Array.isArray(node.items)) {
      node = node.items[Number(part)];
      if (!isNode(node)) return offset;
      offset = node.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

function explain(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  place: (path: Path, key: boolean) => { line: number; column: number },
): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => ({
      path: pathText([...issue.path, key]),
      ...place([...issue.path, key], true),
      message: `unknown key${suggestion(key, known, nestedKeysAt(schema, issue.path))}`,
    }));
  }
  if (issue.code === 'invalid_union' && issue.input !== undefined && issue.errors.length > 0) {
    // The branch that got furthest is the one that was meant.
    const best = issue.errors.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)[0] ?? [];
    if (depth(best) > 0)
      return best.flatMap((inner) => explain({ ...inner, path: [...issue.path, ...inner.path] }, schema, place));
  }
  const missing = (issue.code === 'invalid_type' || issue.code === 'invalid_union') && issue.input === undefined;
  const message = missing ? 'is missing' : issue.message;
  return [{ path: pathText(issue.path), ...place(issue.path, missing), message: lowerFirst(message) }];
}

const depth = (issues: readonly z.core.$ZodIssue[]) => Math.max(0, ...issues.map((issue) => issue.path.length));

const lowerFirst = (text: string) => (/^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text);

/** Keys that the schema knows at a path; empty where it is not an object with fixed keys. */
const keysAt = (schema: z.core.$ZodType, path: Path): readonly string[] => Object.keys(shapeAt(schema, path));

/** Keys one level below those, as `groups.required`. */
const nestedKeysAt = (schema: z.core.$ZodType, path: Path): readonly string[] =>
  Object.entries(shapeAt(schema, path)).flatMap(([key, inner]) =>
    Object.keys(shapeAt(inner, [])).map((name) => `${key}.${name}`),
  );

function shapeAt(schema: z.core.$ZodType, path: Path): z.core.$ZodShape {
  let current: z.core.$ZodType | undefined = unwrap(schema);
  for (const part of path) {
    const def = current?._zod.def as z.core.$ZodTypes['_zod']['def'] | undefined;
    if (def?.type === 'object') current = def.shape[String(part)];
    else if (def?.type === 'array') current = def.element;
    else if (def?.type === 'record') current = def.valueType;
    else return {};
    if (current === undefined) return {};
    current = unwrap(current);
  }
  const def = current?._zod.def as z.core.$ZodTypes['_zod']['def'] | undefined;
  return def?.type === 'object' ? def.shape : {};
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const def = schema._zod.def as z.core.$ZodTypes['_zod']['def'];
  if ('innerType' in def && def.innerType !== undefined) return unwrap(def.innerType);
  if (def.type === 'pipe') return unwrap(def.in);
  return schema;
}

/** Without case and what divides words: `groups_required` and `groupsRequired` are meant as `groups.required`. */
const plain = (key: string): string => key.replace(/[._-]/g, '').toLowerCase();

function suggestion(key: string, known: readonly string[], nested: readonly string[]): string {
  const below = nested.find((name) => plain(name) === plain(key));
  if (below !== undefined && !known.some((name) => plain(name) === plain(key))) return `; did you mean ${below}?`;
  const [nearest] = known
    .map((name) => ({ name, away: distance(key.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, away }) => away <= Math.max(1, Math.floor(name.length / 3)))
    .toSorted((a, b) => a.away - b.away);
  if (nearest !== undefined) return `; did you mean ${nearest.name}?`;
  return known.length > 0 && known.length <= 12 ? ` (known here: ${known.join(', ')})` : '';
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  if (a.length > 64) return a.length;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
