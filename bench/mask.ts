/**
 * What masking costs with every built-in detector: CPU a character at several sizes of deltas, hold-back, the worst texts that we
 * know of, compiling, and memory for a live channel.
 */
import assert from 'node:assert/strict';
import { compileAutomaton } from '../src/detect/automaton.ts';
import { detectors } from '../src/detect/registry.ts';
import { scan } from '../src/detect/scan.ts';
import { createTextMaskers } from '../src/mask/text.ts';

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
const ROUNDS = 300;
/** One flat string: a rope would be timed instead. */
const flat = (text: string) => Buffer.from(text, 'utf8').toString('utf8');

/** Deltas of `least` to `most` characters, the same in every run. */
function deltas(text: string, least: number, most: number): readonly string[] {
  const pieces: string[] = [];
  let seed = 1;
  for (let at = 0; at < text.length; ) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    const length = least + ((seed >> 8) % (most - least + 1));
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

/** Characters of which nobody can tell what they are: the same in every run. */
function random(alphabet: string, length: number): string {
  let seed = 7;
  let text = '';
  for (let i = 0; i < length; i++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    text += alphabet[(seed >> 12) % alphabet.length];
  }
  return text;
}

/** Nanoseconds of CPU a character, of so many runs after two to warm up: the median and the least. */
function perCharacter(
  length: number,
  work: () => void,
  runs: number,
): { readonly median: number; readonly least: number } {
  work();
  work();
  const all = Array.from({ length: runs }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / length;
  }).sort((a, b) => a - b);
  return { median: all[runs >> 1]!, least: all[0]! };
}

const DIGITS = '0123456789';
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

const worst: Readonly<Record<string, string>> = {
  'a.a.a.a': 'a.'.repeat(50_000),
  'one digit': '1'.repeat(100_000),
  'random digits': random(DIGITS, 100_000),
  'digits spelled out': '1 '.repeat(50_000),
  'digits in groups of four': '4111 '.repeat(20_000),
  'digits in groups of nine': '123456789 '.repeat(10_000),
  'IBAN openings': 'DE89 '.repeat(20_000),
  'repeated base64': 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo+/w'.repeat(2_600),
  'random base64': random(BASE64, 100_000),
  'random base64 in lines of 76': random(BASE64, 100_000).replace(/.{76}/g, '$&\n'),
  'random hex in words of 32': random('0123456789abcdef', 100_000).replace(/.{32}/g, '$& '),
  'JWT openings': 'eyAaaaaaaaaaaaaa-'.repeat(5_900),
  'signs of base64': '+é'.repeat(50_000),
  dashes: '-'.repeat(100_000),
};

type Report = (title: string, rows: readonly object[]) => void;

/** What the issue asks for, at most. */
const AIMS = { small: 40, large: 25, heldMean: 5, heldP99: 40, compileMs: 300 };

export function masking(report: Report, runs: number): object {
  const compiling = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    compileAutomaton(detectors);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  const automaton = compileAutomaton(detectors);
  const maskers = createTextMaskers(automaton);
  const mask = (pieces: readonly string[]) => {
    let findings = 0;
    const masker = maskers(() => findings++);
    let text = '';
    for (const piece of pieces) text += masker.push(piece);
    return { text: text + masker.end(), findings };
  };
  const held = (pieces: readonly string[]) => {
    const masker = maskers(() => {});
    const all = pieces
      .map((piece) => {
        masker.push(piece);
        return masker.held;
      })
      .sort((a, b) => a - b);
    return { mean: all.reduce((sum, each) => sum + each, 0) / all.length, p99: all[Math.floor(all.length * 0.99)]! };
  };

  const english = flat(sentences.join('').repeat(ROUNDS));
  const mixed = flat([...sentences, ...secretSentences].join('').repeat(ROUNDS));
  const rows: object[] = [];
  for (const [name, text, findings] of [
    ['English', english, 0],
    ['with PII', mixed, ROUNDS * FINDINGS_PER_ROUND],
  ] as const)
    for (const [least, most] of [
      [1, 1],
      [1, 8],
      [1, 20],
      [4096, 4096],
    ] as const) {
      const pieces = deltas(text, least, most);
      const expected = mask([text]);
      assert.equal(expected.findings, findings);
      assert.deepEqual(mask(pieces), expected);
      if (findings === 0) assert.equal(expected.text, text);
      const cost = perCharacter(text.length, () => mask(pieces), runs);
      const { mean, p99 } = held(pieces);
      rows.push({
        text: name,
        'characters a delta': least === most ? most : `${least}–${most}`,
        'ns a character': cost.median.toFixed(1),
        least: cost.least.toFixed(1),
        aim: most === 20 ? AIMS.small : most === 4096 ? AIMS.large : '',
        'held back: mean': mean.toFixed(1),
        p99,
      });
    }
  report(
    `masking with ${detectors.length} detectors (held back: mean ≤ ${AIMS.heldMean}, p99 ≤ ${AIMS.heldP99})`,
    rows,
  );

  const bad: object[] = [];
  for (const [name, text] of Object.entries(worst)) {
    assert.equal(mask([flat(text)]).text.length > 0, true);
    const cost = perCharacter(text.length, () => scan(automaton, text), Math.max(3, runs >> 1));
    bad.push({ text: name, 'ns a character': cost.median.toFixed(0), least: cost.least.toFixed(0) });
  }
  report('the worst texts (scan)', bad);

  const other = [
    { what: 'compile all, first time (ms of CPU)', value: compiling[0]!.toFixed(0), aim: AIMS.compileMs },
    { what: 'compile all, later', value: [...compiling].sort((a, b) => a - b)[2]!.toFixed(0), aim: AIMS.compileMs },
    { what: 'states of the automaton', value: automaton.dfa.states, aim: '' },
    { what: 'times its cache was dropped', value: automaton.dfa.generation - 1, aim: 0 },
  ];
  report('the automaton', other);
  return { masking: rows, worst: bad, automaton: other };
}
