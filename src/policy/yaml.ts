import { Composer, type CST, type Document, isSeq, Lexer, LineCounter, Parser } from 'yaml';

/** Work that may be interrupted wherever it yields: a slice takes well under a millisecond. */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** Where in the text, in UTF-16 units from its beginning. */
interface Complaint {
  readonly offset: number;
  readonly message: string;
}

export interface ReadDocuments {
  readonly documents: readonly Document.Parsed[];
  readonly complaints: readonly Complaint[];
  readonly lines: LineCounter;
}

export const maxTextBytes = 1_048_576;
const maxDepth = 40;
/** The library compares every key with every other. */
const maxKeys = 1000;
const maxComplaints = 50;
/** Lists longer than this are composed in pieces. */
const longList = 20;

/**
 * Reads a text as YAML 1.2 in slices: the library's own steps, with the rules of a policy composed some at a time. Refused:
 * texts over 1 MiB, control characters, directives (`%YAML 1.1` would read `on` as true), anchors and aliases (they grow
 * without bound), tags, maps of more than 1,000 keys, nesting deeper than 40.
 */
export function* readDocuments(text: string): Sliced<ReadDocuments> {
  const lines = new LineCounter();
  const refused = (offset: number, message: string) => ({ documents: [], complaints: [{ offset, message }], lines });
  lines.addNewLine(0);
  if (Buffer.byteLength(text) > maxTextBytes) return refused(0, 'the file is larger than 1 MiB');
  const control = controlCharacter.exec(text);
  if (control !== null) {
    for (let at = text.indexOf('\n'); at >= 0 && at < control.index; at = text.indexOf('\n', at + 1))
      lines.addNewLine(at + 1);
    return refused(control.index, `there is a control character (${codePoint(control[0])})`);
  }
  const tokens = yield* parse(text, lines);
  const complaints = yield* complaintsAbout(tokens);
  if (complaints.length > 0) return { documents: [], complaints, lines };
  const documents = yield* compose(tokens);
  for (const { errors, warnings } of documents)
    complaints.push(
      ...[...errors, ...warnings].map(({ pos, code, message }) => ({
        offset: pos[0],
        message: `${lowerFirst(message)}${quoteIt.has(code) ? `; ${quoted}` : ''}`,
      })),
    );
  return { documents, complaints: complaints.slice(0, maxComplaints), lines };
}

/** What comes of an expression without quotes: `when: "a" in b`, `when: x ? y : z`. */
const quoteIt: ReadonlySet<string> = new Set(['UNEXPECTED_TOKEN', 'BLOCK_AS_IMPLICIT_KEY', 'BAD_SCALAR_START']);
const quoted = "is it an expression? Put it between single quotes ('…')";

/** C0 and C1 but tab and line ends, DEL, what is not a character, and a byte-order mark that is not at the beginning. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlCharacter = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|(?<!^)\ufeff/;

function codePoint(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

function* parse(text: string, lines: LineCounter): Sliced<CST.Token[]> {
  const parser = new Parser((offset) => {
    if (offset > 0) lines.addNewLine(offset);
  });
  const tokens: CST.Token[] = [];
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    count += 1;
    if (count % 128 === 0) yield;
  }
  tokens.push(...parser.end());
  return tokens;
}

/** What is not wanted, found before anything is built of it. */
function* complaintsAbout(tokens: readonly CST.Token[]): Sliced<Complaint[]> {
  const complaints: Complaint[] = [];
  const open: { readonly token: CST.Token; readonly depth: number }[] = tokens.map((token) => ({ token, depth: 0 }));
  let count = 0;
  for (let next = open.pop(); next !== undefined && complaints.length < maxComplaints; next = open.pop()) {
    const { token, depth } = next;
    const message = unwanted(token, depth);
    if (message !== undefined) complaints.push({ offset: token.offset, message });
    if (depth <= maxDepth) for (const below of childrenOf(token)) open.push({ token: below, depth: depth + 1 });
    count += 1;
    if (count % 256 === 0) yield;
  }
  return complaints.sort((a, b) => a.offset - b.offset);
}

function unwanted(token: CST.Token, depth: number): string | undefined {
  if (depth > maxDepth) return `nested deeper than ${maxDepth}`;
  switch (token.type) {
    case 'directive':
      return 'directives (%…) are not allowed';
    case 'anchor':
      return 'anchors (&name) are not allowed';
    case 'alias':
      return 'aliases (*name) are not allowed';
    case 'tag':
      return 'tags (!name) are not allowed; an expression that begins with "!" wants quotes around it';
    case 'block-map':
    case 'flow-collection':
      return token.type === 'block-map' || token.start.source === '{'
        ? token.items.length > maxKeys
          ? `there are more than ${maxKeys} keys`
          : undefined
        : undefined;
    default:
      return undefined;
  }
}

function* childrenOf(token: CST.Token): Generator<CST.Token> {
  if (token.type === 'document') {
    yield* token.start;
    if (token.value) yield token.value;
  }
  if (!('items' in token)) return;
  for (const item of token.items) {
    yield* item.start;
    if (item.key) yield item.key;
    if (item.sep) yield* item.sep;
    if (item.value) yield item.value;
  }
}

function* compose(tokens: readonly CST.Token[]): Sliced<Document.Parsed[]> {
  const documents: Document.Parsed[] = [];
  const composer = () => new Composer({ prettyErrors: false, uniqueKeys: true, version: '1.2' });
  const whole = composer();
  const pieces: (readonly CST.BlockSequence[])[] = [];
  for (const token of tokens) {
    if (token.type === 'document') pieces.push(takeRules(token));
    documents.push(...(whole.next(token) as Iterable<Document.Parsed>));
    yield;
  }
  documents.push(...(whole.end() as Iterable<Document.Parsed>));
  for (const [index, sequences] of pieces.entries()) {
    const document = documents[index];
    const rules = document?.getIn(['spec', 'rules'], true);
    if (document === undefined || !isSeq(rules)) continue;
    for (const value of sequences) {
      const piece = composer();
      const composed = [...piece.next({ type: 'document', offset: value.offset, start: [], value }), ...piece.end()];
      for (const { contents, errors, warnings } of composed) {
        if (isSeq(contents)) rules.items.push(...contents.items);
        document.errors.push(...errors);
        document.warnings.push(...warnings);
      }
      yield;
    }
  }
  return documents;
}

/** Takes a long list of rules out of a document, in pieces. */
function takeRules(document: CST.Document): readonly CST.BlockSequence[] {
  const rules = memberOf(memberOf(document.value, 'spec'), 'rules');
  if (rules?.type !== 'block-seq' || rules.items.length <= longList) return [];
  const items = rules.items.splice(0);
  const pieces: CST.BlockSequence[] = [];
  for (let at = 0; at < items.length; at += longList) pieces.push({ ...rules, items: items.slice(at, at + longList) });
  return pieces;
}

function memberOf(token: CST.Token | null | undefined, key: string): CST.Token | undefined {
  if (token?.type !== 'block-map') return undefined;
  const found = token.items.find((item) => item.key?.type === 'scalar' && item.key.source === key);
  return found?.value ?? undefined;
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
