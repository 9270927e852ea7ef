/**
 * `npm run score`: all detectors together over all labelled texts. Ends with 1 where one falls short of its aims.
 *
 *   --failures       prints what was missed and what was found wrongly
 *   --json           prints JSON
 *   --corpus FILE    only these texts: lines {id, text, spans: [{start, end, type}]}
 */
import { parseArgs } from 'node:util';
import { detectors } from '../src/detect/registry.ts';
import { detectorTexts, jsonlTexts, otherTexts } from './score/corpus.ts';
import { exactOf, type Failure, percent, precisionOf, recallOf, type Score, score, shortOf } from './score/score.ts';

const { values } = parseArgs({
  options: { failures: { type: 'boolean' }, json: { type: 'boolean' }, corpus: { type: 'string' } },
});

const texts = values.corpus === undefined ? [...detectorTexts(), ...otherTexts()] : jsonlTexts(values.corpus);
const result = score(detectors, texts);
const short = shortOf(detectors, result);
const seen = [...result.scores.values()].filter(({ positives, wrong }) => positives + wrong > 0);
const total = seen.reduce((sum, each) => added(sum, each), { ...zero(), id: 'all' });

if (values.json) {
  const rates = (each: Score) => ({ ...each, recall: recallOf(each), precision: precisionOf(each) });
  const { negatives, touched, failures } = result;
  const all = { ...rates(total), negatives, touched };
  const json = {
    texts: texts.length,
    all,
    detectors: seen.map(rates),
    unknown: Object.fromEntries(result.unknown),
    short,
  };
  process.stdout.write(`${JSON.stringify(values.failures ? { ...json, failures } : json, null, 2)}\n`);
} else {
  const width = Math.max(...seen.map(({ id }) => id.length), 8);
  process.stdout.write(
    `${'detector'.padEnd(width)}  positives    recall     exact  precision  wrong  touched of negatives\n${[...seen, total].map((each) => line(each, width)).join('')}`,
  );
  process.stdout.write(
    `${texts.length} texts; ${result.negatives} have nothing in them, or nothing of one detector: touched ${result.touched} (${percent(result.touched / Math.max(1, result.negatives))})\n`,
  );
  for (const [type, count] of result.unknown)
    process.stdout.write(`no detector is called ${type} (${count} parts of texts)\n`);
  if (values.failures) for (const failure of result.failures) process.stdout.write(shown(failure));
  for (const problem of short) process.stdout.write(`short of the aims: ${problem}\n`);
}
if (short.length > 0) process.exitCode = 1;

function zero(): Score {
  return { id: '', positives: 0, found: 0, exact: 0, wrong: 0, negatives: 0, touched: 0 };
}

function added(a: Score, b: Score): Score {
  return {
    id: a.id,
    positives: a.positives + b.positives,
    found: a.found + b.found,
    exact: a.exact + b.exact,
    wrong: a.wrong + b.wrong,
    negatives: result.negatives,
    touched: result.touched,
  };
}

function line(each: Score, width: number): string {
  const cells = [
    String(each.positives).padStart(9),
    percent(recallOf(each)).padStart(8),
    percent(exactOf(each)).padStart(8),
    percent(precisionOf(each)).padStart(9),
    String(each.wrong).padStart(5),
    `${each.touched} of ${each.negatives}`.padStart(20),
  ];
  return `${each.id.padEnd(width)}  ${cells.join('  ')}\n`;
}

function shown({ id, what, type, part, text, expected, found }: Failure): string {
  const list = (parts: readonly string[]) => parts.map((each) => JSON.stringify(each)).join(', ') || 'nothing';
  return `\n${what} ${type} ${JSON.stringify(part)} (${id})\n  text      ${JSON.stringify(text)}\n  expected  ${list(expected)}\n  found     ${list(found)}\n`;
}
