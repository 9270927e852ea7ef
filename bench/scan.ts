/**
 * What the content checks of a prompt cost: 100 KB scanned for all data types, encoded parts included, as the gate does it
 * (masked body and findings), and a hundred thousand words. The longest hold of the event loop is that of one slice. No Envoy.
 */
import assert from 'node:assert/strict';
import { detectors } from '../src/detect/registry.ts';
import { paced } from '../src/exchange/pace.ts';
import { filtersSection } from '../src/guard/config.ts';
import { loadFilters } from '../src/guard/filters.ts';
import { createBodies } from '../src/mask/bodies.ts';

type Report = (title: string, rows: readonly object[]) => void;

const LENGTH = 100_000;
const RUNS = 25;
const prose = [
  'The quick answer is that it depends on how often the cache is read, and how stale an entry may be. ',
  "I'd start with the simplest thing that could work: one table, one index, and a nightly job. ",
  'In 1997 the committee published its second report; few of its 42 recommendations were ever adopted.\n',
  'const total = items.reduce((sum, item) => sum + item.price * item.count, 0);\n',
].join('');
const secrets = 'Write to jane.doe@example.com about card 4111 1111 1111 1111. ';
const filled = (part: string, length: number): string => part.repeat(Math.ceil(length / part.length)).slice(0, length);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

const prompts: Readonly<Record<string, { readonly text: string; readonly findings: number }>> = {
  prose: { text: filled(prose, LENGTH), findings: 0 },
  'with PII': { text: filled(prose.repeat(4) + secrets, LENGTH), findings: 130 },
  'half base64': { text: `${filled(prose, LENGTH / 2)}\n${base64(filled(prose, (LENGTH * 3) / 8))}`, findings: 0 },
  'half base64, a card in it': {
    text: `${filled(prose, LENGTH / 2)}\n${base64(`${filled(prose, (LENGTH * 3) / 8 - 80)}${secrets}`)}`,
    findings: 2,
  },
  'random bytes in base64': {
    text: Buffer.from(
      Uint8Array.from({ length: (LENGTH * 3) / 4 }, (_, i) => Math.imul(i * 7919 + 13, 2_654_435_761) >>> 13),
    ).toString('base64'),
    findings: 0,
  },
  'words of a program': { text: filled('getUserAccountName/getUserAccountName(userId);\n', LENGTH), findings: 0 },
};

/** Longest time between two turns of the event loop while something runs. */
async function longestHold(work: () => unknown): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let going = true;
  const turn = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  await new Promise(setImmediate);
  going = false;
  return longest;
}

const cpuMs = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

const sorted = (values: number[]): number[] => values.sort((a, b) => a - b);

async function timed(work: () => Promise<void>): Promise<object> {
  for (let i = 0; i < 5; i++) await work();
  const cpu: number[] = [];
  const holds: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const before = process.cpuUsage();
    const began = performance.now();
    await work();
    cpu.push(Math.min(cpuMs(process.cpuUsage(before)), performance.now() - began));
    holds.push(await longestHold(work));
  }
  return {
    'median ms': sorted(cpu)[RUNS >> 1]!.toFixed(2),
    'least ms': cpu[0]!.toFixed(2),
    // The least of the runs: whatever else the machine does only adds.
    'longest hold ms': sorted(holds)[0]!.toFixed(2),
  };
}

export async function scans(report: Report): Promise<object> {
  const bodies = createBodies(detectors.map(({ id }) => id));
  const rows: object[] = [];
  for (const [prompt, { text, findings }] of Object.entries(prompts)) {
    const body = Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }));
    const work = async (): Promise<void> => {
      const found = await bodies.request('openai-chat', body);
      const count = [...found.findings.values()].reduce((sum, each) => sum + each, 0);
      assert.equal(count, findings, prompt);
    };
    rows.push({ prompt, KB: Math.round(body.length / 1000), ...(await timed(work)) });
  }
  report('100 KB for all data types, encoded parts included: masked for the record, and counted', rows);

  const entries = Array.from({ length: LENGTH }, (_, i) => `${(i * 2_654_435_761).toString(36)} entry${i % 977}`);
  const file = Buffer.from(`${entries.join('\n')}\nstale an entry`);
  let loaded = await load(file);
  const loads: number[] = [];
  const holds: number[] = [];
  for (let i = 0; i < 5; i++) {
    const before = process.cpuUsage();
    const hold = await longestHold(async () => {
      loaded = await load(file);
    });
    holds.push(hold);
    loads.push(cpuMs(process.cpuUsage(before)));
  }
  const { text } = prompts['prose']!;
  const count = async (): Promise<void> => {
    const counts = await paced(loaded.count(text));
    assert.equal(counts.get('f'), text.split('stale an entry').length - 1);
  };
  const filters = [
    {
      work: 'load 100,000 phrases (ms of CPU)',
      'median ms': sorted(loads)[2]!.toFixed(0),
      'least ms': loads[0]!.toFixed(0),
      'longest hold ms': sorted(holds)[0]!.toFixed(2),
    },
    { work: 'count them in 100 KB of prose', ...(await timed(count)) },
  ];
  report('content filters', filters);
  return { scan: rows, filters };
}

async function load(file: Buffer) {
  const loaded = await loadFilters(filtersSection.parse([{ name: 'f', wordFiles: ['words'] }]), {
    readFile: () => Promise.resolve(file),
    run: paced,
  });
  assert.ok(loaded.ok);
  return loaded.filters;
}
