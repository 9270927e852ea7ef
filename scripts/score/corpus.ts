import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Span {
  readonly type: string;
  /** UTF-16 units; `end` exclusive. */
  readonly start: number;
  readonly end: number;
}

/** One text of a corpus, with all that must be found in it. */
export interface LabelledText {
  /** Where it stands: `credit_card.json positive 3`, `mails.jsonl line 7`. */
  readonly id: string;
  readonly text: string;
  readonly spans: readonly Span[];
  /** Nothing of this detector may be found in it; nothing is said of others. Undefined: `spans` is all there is. */
  readonly without?: string | undefined;
}

const fixtures = join(import.meta.dirname, '..', '..', 'test', 'fixtures');

/** The shape of test/fixtures/detectors/ID.json; docs/architecture.md#add-a-detector. */
interface DetectorCorpus {
  readonly positives: readonly {
    readonly text: string;
    /** What must be found, in order. */
    readonly spans: readonly string[];
    /** What else is in the text: a number of another detector. */
    readonly others?: readonly { readonly type: string; readonly text: string }[];
  }[];
  readonly negatives: readonly string[];
}

/** The corpora of the detectors, by those who wrote the patterns. */
export function detectorTexts(folder = join(fixtures, 'detectors')): readonly LabelledText[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((file) => {
      const corpus = JSON.parse(readFileSync(join(folder, file), 'utf8')) as DetectorCorpus | readonly string[];
      const id = file.replace('.json', '');
      if ('positives' in corpus) return textsOf(file, id, corpus);
      return corpus.map((text, at) => ({ id: `${file} ${at + 1}`, text, spans: [] }));
    });
}

function textsOf(file: string, type: string, corpus: DetectorCorpus): readonly LabelledText[] {
  return [
    ...corpus.positives.map(({ text, spans, others = [] }, at) => ({
      id: `${file} positive ${at + 1}`,
      text,
      spans: [...placed(text, spans, type), ...others.flatMap((other) => placed(text, [other.text], other.type))],
    })),
    ...corpus.negatives.map((text, at) => ({ id: `${file} negative ${at + 1}`, text, spans: [], without: type })),
  ];
}

function placed(text: string, values: readonly string[], type: string): readonly Span[] {
  let from = 0;
  return values.map((value) => {
    const start = text.indexOf(value, from);
    if (start < 0) throw new Error(`the corpus of ${type} has a span that is not in its text: ${JSON.stringify(text)}`);
    from = start + value.length;
    return { type, start, end: from };
  });
}

/** Texts that do not come from the authors of the patterns. */
export function otherTexts(folder = join(fixtures, 'texts')): readonly LabelledText[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .flatMap((file) => jsonlTexts(join(folder, file), file));
}

/** Lines `{id, text, spans: [{start, end, type}]}`; a line without spans is a negative. */
export function jsonlTexts(path: string, name = path): readonly LabelledText[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, at) => {
      if (line.trim() === '') return [];
      const { text, spans } = JSON.parse(line) as LabelledText;
      for (const { start, end, type } of spans)
        if (!(typeof type === 'string' && 0 <= start && start < end && end <= text.length))
          throw new Error(`${name} line ${at + 1} has a span that is not in its text`);
      return [{ id: `${name} line ${at + 1}`, text, spans }];
    });
}
