/** Detectors that users wrote, made into such as the automaton runs. */
import { compileAutomaton } from './automaton.ts';
import type { OwnDetectorConfig } from './config.ts';
import type { Detector, Pattern } from './detector.ts';
import { MAX_VALUE_LENGTH, readValues, ValueHasher } from './keyed-hash.ts';
import { PatternError } from './pattern.ts';
import { problemWithCost } from './pattern-cost.ts';
import { checkNames, validators } from './validators-by-name.ts';
import { wordPatterns } from './word-list.ts';

/** Where the texts that a definition names come from. Reject with an Error that says what is wrong with them. */
export interface OwnDetectorTexts {
  readonly file: (path: string) => Promise<string>;
  readonly key: (values: NonNullable<OwnDetectorConfig['values']>) => Promise<Buffer>;
}

export interface OwnDetectorProblem {
  /** `detectors[0].pattern` */
  readonly path: string;
  readonly message: string;
}

export type OwnDetectors =
  | { readonly ok: true; readonly detectors: readonly Detector[] }
  | { readonly ok: false; readonly problems: readonly OwnDetectorProblem[] };

/** Of all words of one detector, as they are compared: its tree takes some hundred bytes for each. */
const MAX_WORD_CHARACTERS = 256 * 1024;
const MAX_WORDS = 20_000;

/** Something wrong with a definition, at a path in it. */
class Refused extends Error {
  override readonly name = 'Refused';
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

/** Makes detectors of their definitions, `taken`: the names that are built in. Every problem is reported, each with its path. */
export async function ownDetectors(
  configs: readonly OwnDetectorConfig[],
  taken: ReadonlySet<string>,
  texts: OwnDetectorTexts,
): Promise<OwnDetectors> {
  const detectors: Detector[] = [];
  const problems: OwnDetectorProblem[] = [];
  for (const [index, config] of configs.entries()) {
    const at = `detectors[${index}]`;
    try {
      if (taken.has(config.id)) throw new Refused('id', `"${config.id}" is built in: give it another id`);
      detectors.push(await ownDetector(config, texts));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      problems.push({ path: `${at}.${error.path}`, message: error.message });
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, detectors };
}

async function ownDetector(config: OwnDetectorConfig, texts: OwnDetectorTexts): Promise<Detector> {
  const { id, categories, doc, context, unless } = config;
  const around = { ...(context && { context }), ...(unless && { unless }) };
  const [first, ...also] = (await patternsOf(config, texts)).map((pattern): Pattern => ({ ...pattern, ...around }));
  if (first === undefined) throw new Refused('words', 'there is no word with a letter or a digit in it');
  const detector: Detector = {
    id,
    categories,
    ...first,
    ...(also.length > 0 && { also }),
    doc,
    examples: [],
    source: 'the configuration',
  };
  check(detector, config);
  return detector;
}

async function patternsOf(config: OwnDetectorConfig, texts: OwnDetectorTexts): Promise<readonly Pattern[]> {
  const { pattern, ignoreCase, values, validator, words, match } = config;
  if (values !== undefined)
    return [{ pattern: pattern ?? candidates(values), ignoreCase, confirms: await knownValues(values, texts) }];
  if (pattern === undefined) {
    const all = [...words];
    for (const [i, file] of config.wordFiles.entries())
      all.push(...linesOf(await texts.file(file).catch(refuse(`wordFiles[${i}]`))));
    if (all.length > MAX_WORDS || all.reduce((sum, word) => sum + word.length, 0) > MAX_WORD_CHARACTERS)
      throw new Refused(
        'words',
        `a detector has at most ${MAX_WORDS} words of ${MAX_WORD_CHARACTERS} characters together; for more, see \`values\``,
      );
    return wordPatterns(all, { whole: match === 'word' });
  }
  if (validator === undefined) return [{ pattern, ignoreCase }];
  const validate = validators.get(validator);
  if (validate === undefined)
    throw new Refused(
      'validator',
      `there is no validator "${validator}"; there are ${checkNames.join(', ')}, and the ids of built-in detectors that check a value`,
    );
  return [{ pattern, ignoreCase, validate }];
}

/** Words of the text that may be a value. */
function candidates({ words, minLength }: NonNullable<OwnDetectorConfig['values']>): string {
  const one = String.raw`\w[\w.@+\-]{${minLength - 2},62}\w`;
  if (words === 1) return String.raw`\b${one}\b`;
  const part = String.raw`[\w.@+'\-]{1,48}`;
  return String.raw`\b\w${part}(?: ${part}){1,${words - 1}}\b|\b${one}\b`;
}

async function knownValues(
  values: NonNullable<OwnDetectorConfig['values']>,
  texts: OwnDetectorTexts,
): Promise<(original: string) => boolean> {
  const key = await texts.key(values).catch(refuse(values.keyFile === undefined ? 'values.keyEnv' : 'values.keyFile'));
  if (key.length < 16) throw new Refused('values', 'the key must have at least 16 bytes');
  const read = readValues(await texts.file(values.file).catch(refuse('values.file')), new ValueHasher(key));
  if (!read.ok) throw new Refused('values.file', `line ${read.line} ${read.message}`);
  return (original) => original.length <= MAX_VALUE_LENGTH && read.has(original);
}

const refuse =
  (path: string) =>
  (error: unknown): never => {
    throw new Refused(path, error instanceof Error ? error.message : String(error));
  };

/** Lines of a list, without empty ones and comments. */
export function linesOf(text: string): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Whether the automaton can run it, and what it costs. */
function check(detector: Detector, config: OwnDetectorConfig): void {
  const { pattern, maxLength } = config;
  const path = pattern === undefined ? 'words' : 'pattern';
  let automaton: ReturnType<typeof compileAutomaton>;
  try {
    automaton = compileAutomaton([detector]);
  } catch (error) {
    if (error instanceof PatternError) throw new Refused(path, error.message);
    if (error instanceof RangeError) throw new Refused('context', error.message);
    throw error;
  }
  if (pattern === undefined) return;
  if (automaton.maxLength > maxLength)
    throw new Refused(
      'pattern',
      `a match could be ${automaton.maxLength} characters long, and maxLength is ${maxLength}: an answer may have to hold back as much`,
    );
  const work = problemWithCost(automaton, { maxMatch: maxLength });
  let step = work.next();
  while (!step.done) step = work.next();
  if (step.value !== undefined) throw new Refused('pattern', step.value);
}
