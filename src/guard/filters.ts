/** Loads the `filters:` section: word lists become one automaton over words, each filter's patterns one over folded text. */
import { createHash } from 'node:crypto';
import { type Automaton, compileAutomaton } from '../detect/automaton.ts';
import type { Detector } from '../detect/detector.ts';
import { normalize, normalizedSlices } from '../detect/normalize.ts';
import { PatternError } from '../detect/pattern.ts';
import { problemWithCost } from '../detect/pattern-cost.ts';
import { scanSliced } from '../detect/scan.ts';
import type { FilterConfig } from './config.ts';
import type { Filters } from './guard.ts';
import { PhraseList, Phrases } from './phrases.ts';
import { WordReader } from './words.ts';

/** Something wrong with a filter. Lines and columns count from 1. */
export interface FilterProblem {
  /** Path of a list's file; undefined: what is wrong is in the config itself, at `path`. */
  readonly file: string | undefined;
  /** `filters[0].words[3]` */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type LoadedFilters =
  /** `entries`: words, phrases and patterns. */
  | { readonly ok: true; readonly filters: Filters; readonly entries: number }
  | { readonly ok: false; readonly problems: readonly FilterProblem[] };

type Steps<T> = Generator<'long' | undefined, T, undefined>;

export interface FilterLoading {
  /** Rejects where there is no such file. */
  readonly readFile: (path: string) => Promise<Buffer>;
  /** Runs work in slices (`paced`). */
  readonly run: <T>(work: Steps<T>) => T | Promise<T>;
}

const MAX_FILE_BYTES = 32 * 1024 * 1024;
/** Of all lists together, as they are compared: some 22 bytes each, 200 MB while it is built. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
const MAX_ENTRY_LENGTH = 256;
const MAX_PATTERNS = 1000;
const MAX_PROBLEMS = 50;
/** Lines read in one step: some tenths of a millisecond. */
const LINES_TOGETHER = 256;
/** Characters hashed in one step: some tenths of a millisecond. */
const HASHED_TOGETHER = 65_536;

/** Reads all files and compiles everything anew; what was loaded before stays as it is. */
export async function loadFilters(configs: readonly FilterConfig[], loading: FilterLoading): Promise<LoadedFilters> {
  const files = new Map<string, FileText>();
  for (const { wordFiles, patternFiles } of configs)
    for (const file of [...wordFiles, ...patternFiles])
      if (!files.has(file)) files.set(file, await readText(file, loading.readFile));
  return await loading.run(build(configs, files));
}

/** A file's text, or what is wrong with it. */
type FileText = { readonly text: string } | { readonly problem: string };

async function readText(file: string, readFile: FilterLoading['readFile']): Promise<FileText> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'error';
    return { problem: `cannot be read: ${code === 'ENOENT' ? 'it is not there' : code}` };
  }
  if (bytes.length > MAX_FILE_BYTES) return { problem: `has ${bytes.length} bytes; a list may have ${MAX_FILE_BYTES}` };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { problem: 'is not UTF-8' };
  }
}

/** One word, phrase or pattern, and where it is written. */
interface Entry {
  readonly text: string;
  readonly file: string | undefined;
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

class Builder {
  readonly phrases = new PhraseList();
  readonly #reader = new WordReader();
  readonly problems: FilterProblem[] = [];
  readonly automata: { filter: number; automaton: Automaton }[] = [];
  #characters = 0;

  complain({ file, path, line, column }: Omit<Entry, 'text'>, message: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ file, path, line, column, message });
  }

  word(entry: Entry, filter: number, match: FilterConfig['match']): void {
    if (entry.text.length > MAX_ENTRY_LENGTH) {
      this.complain(entry, `an entry has at most ${MAX_ENTRY_LENGTH} characters`);
      return;
    }
    const reader = this.#reader;
    reader.reset();
    // With the space that ends the last word.
    reader.read(`${normalize(entry.text)} `);
    const { units, length } = reader;
    if (length < 2) this.complain(entry, 'an entry must have a letter or a digit');
    else if (this.#isFull(entry, length)) return;
    else if (match === 'word') this.phrases.add(units, 0, length, filter);
    else this.phrases.add(units, 1, length - 1, filter);
  }

  #isFull(entry: Entry, length: number): boolean {
    const wasFull = this.#characters > MAX_CHARACTERS;
    this.#characters += length;
    const isFull = this.#characters > MAX_CHARACTERS;
    if (isFull && !wasFull) this.complain(entry, `all lists together have more than ${MAX_CHARACTERS} characters`);
    return isFull;
  }

  *patterns(entries: readonly Entry[], filter: number, name: string): Steps<void> {
    if (entries.length > MAX_PATTERNS) {
      this.complain(entries[MAX_PATTERNS]!, `a filter has at most ${MAX_PATTERNS} patterns`);
      return;
    }
    const good: Detector[] = [];
    for (const entry of entries) {
      const detector = detectorOf(name, entry.text);
      if (yield* this.#isPattern(entry, detector)) good.push(detector);
    }
    yield 'long';
    if (good.length > 0) this.automata.push({ filter, automaton: compileAutomaton(good) });
  }

  *#isPattern(entry: Entry, detector: Detector): Steps<boolean> {
    yield 'long';
    try {
      const problem = yield* problemWithCost(compileAutomaton([detector]));
      if (problem !== undefined) this.complain(entry, problem);
      return problem === undefined;
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      this.complain({ ...entry, column: entry.column + error.position }, error.message);
      return false;
    }
  }
}

const detectorOf = (id: string, pattern: string): Detector => ({
  id,
  categories: [],
  pattern,
  ignoreCase: true,
  doc: '',
  examples: [],
  source: '',
});

function* build(configs: readonly FilterConfig[], files: ReadonlyMap<string, FileText>): Steps<LoadedFilters> {
  const builder = new Builder();
  let patternCount = 0;
  for (const [filter, config] of configs.entries()) {
    const path = `filters[${filter}]`;
    for (const entry of inline(config.words, `${path}.words`)) builder.word(entry, filter, config.match);
    for (const [i, file] of config.wordFiles.entries()) {
      let lines = 0;
      for (const entry of linesOf(builder, files.get(file), file, `${path}.wordFiles[${i}]`)) {
        builder.word(entry, filter, config.match);
        if (++lines % LINES_TOGETHER === 0) yield;
      }
    }
    const patterns = inline(config.patterns, `${path}.patterns`);
    for (const [i, file] of config.patternFiles.entries())
      for (const entry of linesOf(builder, files.get(file), file, `${path}.patternFiles[${i}]`)) {
        patterns.push(entry);
        if (patterns.length > MAX_PATTERNS) break;
      }
    yield* builder.patterns(patterns, filter, config.name);
    patternCount += patterns.length;
  }
  if (builder.problems.length > 0) return { ok: false, problems: builder.problems };
  const { phrases, automata } = builder;
  const words = phrases.count === 0 ? undefined : yield* Phrases.of(phrases);
  const names = configs.map(({ name }) => name);
  const revision = yield* revisionOf(configs, files);
  const filters = new LoadedLists({ names, words, automata, revision });
  return { ok: true, filters, entries: phrases.count + patternCount };
}

/** Of what is written, in the order of the config; not of the files' names. */
function* revisionOf(configs: readonly FilterConfig[], files: ReadonlyMap<string, FileText>): Steps<string> {
  const hash = createHash('sha256');
  for (const { name, match, words, patterns, wordFiles, patternFiles } of configs) {
    hash.update(JSON.stringify([name, match, words, patterns, wordFiles.length, patternFiles.length]));
    for (const file of [...wordFiles, ...patternFiles]) {
      const read = files.get(file);
      const text = read !== undefined && 'text' in read ? read.text : '';
      hash.update(`\n${text.length}\n`);
      for (let at = 0; at < text.length; at += HASHED_TOGETHER) {
        // As UTF-16, so that a pair that is cut in two hashes as it is.
        hash.update(text.slice(at, at + HASHED_TOGETHER), 'utf16le');
        yield;
      }
    }
  }
  return hash.digest('hex').slice(0, 16);
}

const inline = (texts: readonly string[], path: string): Entry[] =>
  texts.map((text, i) => ({ text, file: undefined, path: `${path}[${i}]`, line: 1, column: 1 }));

/** The lines of a file that count, one at a time. */
function* linesOf(
  builder: Builder,
  read: FileText | undefined,
  file: string,
  path: string,
): Generator<Entry, undefined, undefined> {
  if (read === undefined || 'problem' in read) {
    builder.complain({ file, path, line: 1, column: 1 }, read?.problem ?? 'cannot be read');
    return;
  }
  const { text } = read;
  let line = 0;
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    line++;
    const whole = text.slice(from, end);
    const trimmed = whole.trim();
    if (trimmed !== '' && !trimmed.startsWith('#'))
      yield { text: trimmed, file, path, line, column: whole.length - whole.trimStart().length + 1 };
    from = end + 1;
  }
}

interface Lists {
  readonly names: readonly string[];
  readonly words: Phrases | undefined;
  readonly automata: Builder['automata'];
  readonly revision: string;
}

class LoadedLists implements Filters {
  readonly names: readonly string[];
  readonly revision: string;
  readonly #words: Phrases | undefined;
  readonly #automata: Builder['automata'];

  constructor({ names, words, automata, revision }: Lists) {
    this.names = names;
    this.revision = revision;
    this.#words = words;
    this.#automata = automata;
  }

  *count(text: string): Steps<ReadonlyMap<string, number>> {
    const counts = new Int32Array(this.names.length);
    if (this.#words !== undefined) yield* countWords(this.#words, text, counts);
    for (const { filter, automaton } of this.#automata) counts[filter]! += (yield* scanSliced(automaton, text)).length;
    const found = new Map<string, number>();
    this.names.forEach((name, i) => {
      if (counts[i]! > 0) found.set(name, counts[i]!);
    });
    return found;
  }
}

function* countWords(words: Phrases, text: string, counts: Int32Array): Steps<void> {
  const reader = new WordReader();
  let state = 0;
  let first = true;
  for (const piece of normalizedSlices(text)) {
    if (!first) yield;
    first = false;
    reader.read(piece);
    state = words.run(state, reader.units, reader.length, counts);
  }
  reader.end();
  words.run(state, reader.units, reader.length, counts);
}
