import { type Document, isScalar, LineCounter, type Node, parseAllDocuments, type Scalar } from 'yaml';
import type { z } from 'zod';
import { didYouMean, type Problem } from './problem.ts';
import { type PolicyDocument, policyDocument } from './schema.ts';

export interface PolicyFile {
  /** Below the policy folder, with `/`. */
  readonly path: string;
  readonly text: string;
}

type Path = readonly PropertyKey[];

/** A policy as written, and where each part of it is. */
export interface LocatedPolicy {
  readonly file: string;
  readonly document: PolicyDocument;
  /** A problem at the value with this path. */
  problem(path: Path, message: string): Problem;
  /** A problem inside the text at this path, `offset` characters into it. */
  problemInText(path: Path, offset: number, message: string): Problem;
}

/** Reads the policies of a file; several documents are separated by `---`. Nothing is guessed: a warning is a problem. */
export function readPolicies(file: PolicyFile): { policies: LocatedPolicy[]; problems: Problem[] } {
  const lines = new LineCounter();
  const documents = parseAllDocuments(file.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file: file.path, line: Math.max(line, 1), column: Math.max(col, 1), message };
  };
  if (documents.length === 0) return { policies: [], problems: [at(0, 'the file is empty')] };
  const policies: LocatedPolicy[] = [];
  const problems: Problem[] = [];
  for (const document of documents as Document.Parsed[]) {
    const broken = [...document.errors, ...document.warnings];
    problems.push(...broken.map((error) => at(error.pos[0], error.message)));
    if (broken.length > 0 || (documents.length > 1 && isEmpty(document))) continue;
    const where = (path: Path) => locate(document, path);
    const parsed = policyDocument.safeParse(contentOf(document));
    if (!parsed.success) {
      for (const issue of parsed.error.issues)
        problems.push(...explain(issue, where).map((p) => at(p.offset, p.message)));
      continue;
    }
    policies.push({
      file: file.path,
      document: parsed.data,
      problem: (path, message) => at(where(path).offset, message),
      problemInText: (path, offset, message) => {
        const { scalar, offset: start } = where(path);
        return at(scalar === undefined ? start : offsetInSource(file.text, scalar, offset), message);
      },
    });
  }
  return { policies, problems };
}

function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

/** Aliases are expanded at most 100 times (a "billion laughs" is refused). */
function contentOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    return undefined;
  }
}

interface Place {
  readonly offset: number;
  readonly scalar: Scalar | undefined;
}

/** The node at a path, or the nearest one above it. */
function locate(document: Document.Parsed, path: Path): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = (length === 0 ? document.contents : document.getIn(path.slice(0, length), true)) as
      | Node
      | null
      | undefined;
    if (typeof node === 'object' && node?.range)
      return { offset: node.range[0], scalar: isScalar(node) && length === path.length ? node : undefined };
  }
  return { offset: 0, scalar: undefined };
}

function explain(issue: z.core.$ZodIssue, where: (path: Path) => Place): { offset: number; message: string }[] {
  const path = issue.path.map(String).join('.');
  const prefix = path === '' ? '' : `${path}: `;
  if (issue.code !== 'unrecognized_keys')
    return [{ offset: where(issue.path).offset, message: `${prefix}${issue.message}` }];
  return issue.keys.map((key) => ({
    offset: where([...issue.path, key]).offset,
    message: `${prefix}unknown key "${key}".${didYouMean(key, knownKeys)}`,
  }));
}

const knownKeys = [
  ...['apiVersion', 'kind', 'metadata', 'spec', 'name', 'team', 'models', 'variables', 'rules', 'expression'],
  ...['on', 'mode', 'when', 'then', 'message', 'messageExpression', 'detect'],
];

/**
 * Where the character `offset` of a scalar's value is in the source: walks value and source side by side, white space
 * against white space (indentation, folded line ends), past doubled quotes and escapes.
 */
function offsetInSource(source: string, scalar: Scalar, offset: number): number {
  const [start, end] = scalar.range ?? [0, 0];
  const value = String(scalar.value);
  const block = scalar.type === 'BLOCK_LITERAL' || scalar.type === 'BLOCK_FOLDED';
  const quoted = scalar.type === 'QUOTE_SINGLE' || scalar.type === 'QUOTE_DOUBLE';
  let at = block ? source.indexOf('\n', start) : start + (quoted ? 1 : 0);
  for (let i = 0; i < offset; i += 1) {
    if (isSpace(value[i]) && isSpace(value[i - 1])) continue;
    at = pastGap(source, at, scalar.type);
    if (!isSpace(value[i])) at += widthInSource(source, at, scalar.type);
  }
  return Math.min(isSpace(value[offset]) ? at : pastGap(source, at, scalar.type), Math.max(start, end - 1));
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && /\s/.test(character);
}

function pastGap(source: string, at: number, type: Scalar['type']): number {
  const gap = type === 'QUOTE_DOUBLE' ? /(?:\s|\\[ntr \n])*/y : /\s*/y;
  gap.lastIndex = at;
  return at + (gap.exec(source)?.[0].length ?? 0);
}

/** Characters of source that make one of the value. */
function widthInSource(source: string, at: number, type: Scalar['type']): number {
  if (type === 'QUOTE_SINGLE' && source.startsWith("''", at)) return 2;
  if (type !== 'QUOTE_DOUBLE' || source[at] !== '\\') return 1;
  return { x: 4, u: 6, U: 10 }[source[at + 1] ?? ''] ?? 2;
}
