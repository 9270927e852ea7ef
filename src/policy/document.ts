import { type Document, isNode, isScalar, isSeq, type Node, type Scalar } from 'yaml';
import type { z } from 'zod';
import { didYouMean, type Problem } from './problem.ts';
import {
  effects,
  maxRules,
  type PolicyDocument,
  policyHead,
  type RuleDocument,
  ruleDocument,
  ruleKeys,
} from './schema.ts';
import { readDocuments, type Sliced } from './yaml.ts';

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
export function* readPolicies(file: PolicyFile): Sliced<{ policies: LocatedPolicy[]; problems: Problem[] }> {
  const { documents, complaints, lines } = yield* readDocuments(file.text);
  const at = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file: file.path, line: Math.max(line, 1), column: Math.max(col, 1), message };
  };
  const policies: LocatedPolicy[] = [];
  const problems: Problem[] = complaints.map(({ offset, message }) => at(offset, message));
  if (problems.length > 0) return { policies, problems };
  if (documents.length === 0) problems.push(at(0, 'the file is empty'));
  for (const document of documents) {
    if (documents.length > 1 && isEmpty(document)) continue;
    const found = yield* readPolicy(document);
    if ('issues' in found) {
      problems.push(...found.issues.flatMap((issue) => explain(issue, document)).map((p) => at(p.offset, p.message)));
      continue;
    }
    policies.push({
      file: file.path,
      document: found.policy,
      problem: (path, message) => at(locate(document, path).offset, message),
      problemInText: (path, offset, message) => {
        const { scalar, offset: start } = locate(document, path);
        return at(scalar === undefined ? start : offsetInSource(file.text, scalar, offset), message);
      },
    });
  }
  return { policies, problems };
}

function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

type Issue = z.core.$ZodIssue;

/** The rules are looked at one by one. */
function* readPolicy(document: Document.Parsed): Sliced<{ policy: PolicyDocument } | { issues: Issue[] }> {
  const rules = document.getIn(['spec', 'rules'], true);
  const items = isSeq(rules) ? rules.items.splice(0) : [];
  const written: unknown = document.toJS();
  const issues: Issue[] = [];
  const read: RuleDocument[] = [];
  if (isSeq(rules)) rules.items.push(...items);
  if (items.length > 0) (written as { spec: { rules: unknown[] } }).spec.rules = items;
  const head = policyHead.safeParse(written, { reportInput: true });
  if (!head.success) issues.push(...head.error.issues);
  for (const [index, item] of items.slice(0, maxRules).entries()) {
    const rule = ruleDocument.safeParse(isNode(item) ? item.toJS(document) : item, { reportInput: true });
    if (rule.success) read.push(rule.data);
    else
      issues.push(...rule.error.issues.map((issue) => ({ ...issue, path: ['spec', 'rules', index, ...issue.path] })));
    if (index % 16 === 15) yield;
  }
  if (!head.success || issues.length > 0) return { issues };
  return { policy: { ...head.data, spec: { ...head.data.spec, rules: read } } };
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

function explain(issue: Issue, document: Document.Parsed): { offset: number; message: string }[] {
  const path = issue.path.map(String).join('.');
  const prefix = path === '' ? '' : `${path}: `;
  if (issue.code !== 'unrecognized_keys')
    return [{ offset: locate(document, issue.path).offset, message: `${prefix}${wordsOf(issue)}` }];
  const then = document.getIn(['spec', 'rules', issue.path[2], 'then']);
  return issue.keys.map((key) => ({
    offset: locate(document, [...issue.path, key]).offset,
    message: `${prefix}unknown key "${key}".${hintAbout(key, issue.path, then)}`,
  }));
}

function wordsOf(issue: Issue): string {
  if (issue.input === undefined && /^invalid_(type|value)$/.test(issue.code)) return 'is missing';
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (/^(?:Invalid input: expected|Too (?:small|big)):? /.test(issue.message)) return plainWords(issue);
  if (issue.path.at(-1) !== 'then' || typeof issue.input !== 'object') return issue.message;
  const { then } = issue.input as { readonly then?: unknown };
  return typeof then === 'string' ? `${issue.message}.${didYouMean(then, effects)}` : issue.message;
}

/** For what the schema has no words of its own. */
function plainWords(issue: Issue): string {
  const { input } = issue;
  if (issue.code === 'invalid_type') {
    if (issue.expected === 'array')
      return typeof input === 'string' && /^[\w.*-]{1,40}$/.test(input)
        ? `must be a list: [${input}]`
        : 'must be a list';
    if (issue.expected === 'object' || issue.expected === 'record') return 'must be a map: key: value';
    if (issue.expected !== 'string') return `must be a ${issue.expected}`;
    return typeof input === 'number' || typeof input === 'boolean'
      ? `must be a text: write "${input}"`
      : 'must be a text';
  }
  if (issue.code === 'too_small')
    return Number(issue.minimum) === 1 ? 'must not be empty' : `is less than ${issue.minimum}`;
  if (issue.code !== 'too_big') return issue.message;
  return issue.origin === 'string'
    ? `must be ${issue.maximum} characters at most`
    : `has more than ${issue.maximum} entries`;
}

/** What was meant by a key, or which effects it belongs to. */
function hintAbout(key: string, path: Path, then: unknown): string {
  const isRule = path.length === 3 && path[1] === 'rules' && typeof then === 'string' && then in ruleKeys;
  if (!isRule) return didYouMean(key, otherKeys);
  const owners = effects.filter((effect) => ruleKeys[effect].includes(key));
  if (owners.length > 0) return ` It is for: ${owners.join(', ')}.`;
  return didYouMean(key, ruleKeys[then as keyof typeof ruleKeys]);
}

const otherKeys = [
  ...['apiVersion', 'kind', 'metadata', 'spec', 'name', 'team', 'labels', 'mode', 'models', 'variables', 'rules'],
  ...['expression', 'scope', 'uses', 'for', 'requests', 'tokens', 'per'],
  ...['type', 'keepLast', 'with'],
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
