/**
 * What masking costs: nanoseconds a character and hold-back (mean, 99th percentile) on English text in deltas of 1 to
 * 20 characters, the worst texts that we know of, and memory for a live channel. Run: `node bench/detect.ts`.
 */
import assert from 'node:assert/strict';
import { compileAutomaton } from '../src/detect/automaton.ts';
import { detectors } from '../src/detect/registry.ts';
import { scan } from '../src/detect/scan.ts';
import { createTextMaskers } from '../src/mask/text.ts';

const automaton = compileAutomaton(detectors);
const maskers = createTextMaskers(automaton);

const sentences = [
  'The quick answer is that it depends on how often the cache is read, and how stale an entry may be. ',
  "I'd start with the simplest thing that could work: one table, one index, and a nightly job. ",
  'In 1997 the committee published its second report; few of its 42 recommendations were ever adopted. ',
  'However, if you need the result in under 200 ms, you will have to precompute it (see section 3.2). ',
  'Here is a short summary of the main points:\n\n1. Keep the interface small.\n2. Measure first.\n3. Delete code.\n\n',
  'She walked along the river until the lights of the town were far behind her, and then she sat down. ',
  '```ts\nconst total = items.reduce((sum, item) => sum + item.price * item.count, 0);\n```\n',
  "Don't worry about well-known edge cases such as leap years; the library takes care of them. ",
];
const secretSentences = [
  'You can reach Jane Doe at jane.doe@example.com or on +44 20 7946 0958. ',
  'The payment was made with card 4111 1111 1111 1111 from 10.1.2.3. ',
];
const FINDINGS_PER_ROUND = 4;
const ROUNDS = 700;
/** One flat string: a rope would be timed instead. */
const flat = (text: string) => Buffer.from(text, 'utf8').toString('utf8');
const english = flat(sentences.join('').repeat(ROUNDS));
const mixed = flat([...sentences, ...secretSentences].join('').repeat(ROUNDS));

/** Lengths from 1 to `most`, the same in every run. */
function deltas(text: string, most: number): readonly string[] {
  const pieces: string[] = [];
  let seed = 1;
  for (let at = 0; at < text.length; ) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    const length = 1 + ((seed >> 8) % most);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

/** Nanoseconds of CPU a character: the median of seven runs after one to warm up. */
function nsPerChar(length: number, work: () => void): string {
  work();
  const runs = Array.from({ length: 7 }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / length;
  }).sort((a, b) => a - b);
  return `${runs[3]!.toFixed(0).padStart(6)} (${runs[0]!.toFixed(0)}–${runs[6]!.toFixed(0)})`;
}

function mask(pieces: readonly string[]): { readonly text: string; readonly findings: number } {
  let findings = 0;
  const masker = maskers(() => findings++);
  let text = '';
  for (const piece of pieces) text += masker.push(piece);
  return { text: text + masker.end(), findings };
}

function holdBack(pieces: readonly string[]): string {
  const masker = maskers(() => {});
  const held = pieces.map((piece) => {
    masker.push(piece);
    return masker.held;
  });
  held.sort((a, b) => a - b);
  const mean = held.reduce((sum, each) => sum + each, 0) / held.length;
  return `held back: mean ${mean.toFixed(1)}, p99 ${held[Math.floor(held.length * 0.99)]}, most ${held.at(-1)}`;
}

console.log(`${detectors.length} detectors, ${english.length} characters; ns a character: median (least–most)\n`);

let sum = 0;
console.log(
  'reading alone     ',
  nsPerChar(english.length, () => {
    for (let i = 0; i < english.length; i++) sum += english.charCodeAt(i);
  }),
);
assert.ok(sum > 0);

assert.deepEqual(scan(automaton, english), []);
console.log(
  'scan, English     ',
  nsPerChar(english.length, () => scan(automaton, english)),
);
for (const [name, text, findings] of [
  ['English', english, 0],
  ['with PII', mixed, ROUNDS * FINDINGS_PER_ROUND],
] as const)
  for (const most of [1, 8, 20]) {
    const pieces = deltas(text, most);
    const expected = mask([text]);
    assert.equal(expected.findings, findings);
    assert.deepEqual(mask(pieces), expected);
    if (findings === 0) assert.equal(expected.text, text);
    console.log(
      `mask, ${name}, 1–${most}`.padEnd(18),
      nsPerChar(text.length, () => mask(pieces)),
      '',
      holdBack(pieces),
    );
  }

console.log('\nworst texts (scan)');
for (const [name, part] of Object.entries({
  'a.a.a.a': 'a.',
  'digits spelled out': '1 ',
  'groups of digits': '4111 ',
  'IBAN openings': 'DE89 ',
  base64: 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo+/w',
  'JWT openings': 'eyAaaaaaaaaaaaaa-',
  dashes: '-',
})) {
  const text = flat(part.repeat(Math.ceil(100_000 / part.length)));
  assert.deepEqual(scan(automaton, text), []);
  console.log(
    ` ${name}`.padEnd(24),
    nsPerChar(text.length, () => scan(automaton, text)),
  );
}
assert.equal(automaton.dfa.generation, 1, 'the state cap was never reached');

const CHANNELS = 20_000;
globalThis.gc?.();
const before = process.memoryUsage().heapUsed;
const channels = Array.from({ length: CHANNELS }, () => maskers(() => {}));
for (const channel of channels) channel.push('Hello Jane');
globalThis.gc?.();
const bytes = (process.memoryUsage().heapUsed - before) / CHANNELS;
console.log(
  `\n${automaton.dfa.states} states; ${bytes.toFixed(0)} bytes a live channel${globalThis.gc ? '' : ' (run with --expose-gc)'}`,
);
assert.equal(channels[0]!.held, 4);
