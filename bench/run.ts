/**
 * `npm run bench [-- --rounds N --seconds S --only json,streams,paced,memory,slices,identity,policies,scan,mask,reload --profile DIR --json]`: Envoy alone, the pass-through pair and Sallyport, in interleaved
 * rounds on one Envoy; identity, policies, scans and masking alone, without Envoy. Every answer that is timed is asserted. Prints rates, latencies, CPU, memory and ratios.
 */
import { parseArgs } from 'node:util';
import { EVENTS, MASKED, SECRET } from './answers.ts';
import { identity } from './identity.ts';
import { type Exchange, holdStreams, pacing, quantile, type Throughput, throughput } from './load.ts';
import { masking } from './mask.ts';
import { policies } from './policies.ts';
import { childrenOf, cpuUs, rssBytes } from './procstat.ts';
import { otherModels, reload } from './reload.ts';
import { scans } from './scan.ts';
import { slices, startSlicesModel } from './slices.ts';
import { type Bench, type System, startBench } from './systems.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    clients: { type: 'string', default: '16' },
    held: { type: 'string', default: '500' },
    /** MiB of the bodies of `slices`. */
    sizes: { type: 'string', default: '1,4,16' },
    json: { type: 'boolean', default: false },
    /** Folder for a CPU profile of the gateway. */
    profile: { type: 'string' },
    only: { type: 'string', default: 'json,streams,paced,memory,slices,identity,policies,scan,mask,reload' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const clients = Number(values.clients);

const prompt = (stream: boolean, text: string): string =>
  JSON.stringify({ model: 'bench', stream, messages: [{ role: 'user', content: text }] });

/** The answer is whole, and masked by Sallyport alone. */
function exchange(system: System, stream: boolean, text: string): Exchange {
  const masks = system.name === 'sallyport';
  return {
    body: prompt(stream, text),
    assert: (response) => {
      const wrong = (why: string) => new Error(`${system.name}: ${why}: ${response.slice(0, 600)}`);
      if (!response.startsWith('HTTP/1.1 200')) throw wrong('not 200');
      if (stream && response.split('\ndata: {').length - 1 < EVENTS - 1) throw wrong('events are missing');
      const joined = stream ? [...response.matchAll(/"content":"([^"]*)"/g)].map((m) => m[1]).join('') : response;
      if (masks === joined.includes(SECRET)) throw wrong(masks ? 'not masked' : 'changed');
      if (masks && !joined.includes(MASKED)) throw wrong('no mask');
    },
  };
}

interface Round {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly pluginUs: number;
  readonly envoyUs: number;
  /** The store's process, which ships what was recorded, also between rounds. */
  readonly storeUs: number;
}

async function round(bench: Bench, system: System, work: Exchange, per: number): Promise<Round> {
  const spent = () => {
    const { pid } = system;
    const store = pid === undefined ? [] : childrenOf(pid);
    return [
      pid === undefined ? 0 : cpuUs(pid),
      cpuUs(bench.envoyPid),
      store.reduce((sum, child) => sum + cpuUs(child), 0),
    ] as const;
  };
  const before = spent();
  const done: Throughput = await throughput(system.target, work, clients, seconds);
  const after = spent();
  return {
    rate: done.count / done.seconds,
    p50: quantile(done.latencies, 0.5),
    p99: quantile(done.latencies, 0.99),
    pluginUs: (after[0] - before[0]) / done.count / per,
    envoyUs: (after[1] - before[1]) / done.count / per,
    storeUs: (after[2] - before[2]) / done.count / per,
  };
}

const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
const medianOf = (all: readonly Round[], key: keyof Round): number => median(all.map((one) => one[key]));

async function compare(bench: Bench, title: string, stream: boolean, unit: string, per: number): Promise<object> {
  const all = new Map<string, Round[]>(bench.systems.map(({ name }) => [name, []]));
  const text = 'What happened in the harbour today?';
  for (const system of bench.systems) await throughput(system.target, exchange(system, stream, text), clients, 1);
  for (let i = 0; i < rounds; i++)
    for (const system of bench.systems)
      all.get(system.name)!.push(await round(bench, system, exchange(system, stream, text), per));
  const pair = all.get('pass-through pair')!;
  const rows = bench.systems.map(({ name }) => {
    const own = all.get(name)!;
    const ratios = own.map((one, i) => one.rate / pair[i]!.rate);
    return {
      system: name,
      [`${unit}/s`]: Math.round(medianOf(own, 'rate')),
      'p50 ms': medianOf(own, 'p50').toFixed(2),
      'p99 ms': medianOf(own, 'p99').toFixed(2),
      [`plugin µs per ${per === 1 ? 'request' : 'event'}`]: medianOf(own, 'pluginUs').toFixed(1),
      [`Envoy µs per ${per === 1 ? 'request' : 'event'}`]: medianOf(own, 'envoyUs').toFixed(1),
      'store µs': medianOf(own, 'storeUs').toFixed(1),
      '÷ pair (median of rounds)': median(ratios).toFixed(2),
      'min–max': `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
      ...(stream
        ? { 'streams/s a core of plugin': (1e6 / Math.max(1, medianOf(own, 'pluginUs') * per)).toFixed(0) }
        : {}),
    };
  });
  report(title, rows);
  return rows;
}

async function pace(bench: Bench): Promise<object> {
  const streams = 64;
  const samples = new Map(bench.systems.map(({ name }) => [name, { first: [] as number[], later: [] as number[] }]));
  for (let i = 0; i < Math.max(2, Math.ceil(rounds / 2)); i++)
    for (const system of bench.systems) {
      const { first, later } = await pacing(system.target, exchange(system, true, 'pace=10ms please'), streams);
      samples.get(system.name)!.first.push(...first);
      samples.get(system.name)!.later.push(...later);
    }
  const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
  const alone = samples.get('envoy alone')!;
  const rows = bench.systems.map(({ name }) => {
    const own = samples.get(name)!;
    const cell = (key: 'first' | 'later', q: number) => {
      const value = quantile(sorted(own[key]), q);
      return `${value.toFixed(2)} (+${(value - quantile(sorted(alone[key]), q)).toFixed(2)})`;
    };
    return {
      system: name,
      'first event p50 ms (added)': cell('first', 0.5),
      'first p99': cell('first', 0.99),
      'later events p50 ms (added)': cell('later', 0.5),
      'later p99': cell('later', 0.99),
    };
  });
  report(`${streams} streams at once, an event every 10 ms: delay from the model's write to the client's read`, rows);
  return rows;
}

async function held(bench: Bench): Promise<object> {
  const count = Number(values.held);
  const rows: object[] = [];
  for (const system of bench.systems) {
    if (system.pid === undefined) continue;
    const before = rssBytes(system.pid);
    const release = await holdStreams(system.target, prompt(true, 'pace=1000ms please'), count);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const during = rssBytes(system.pid);
    release();
    rows.push({ system: system.name, 'RSS before MB': mb(before), [`RSS at ${count} live streams MB`]: mb(during) });
  }
  report('memory', rows);
  return rows;
}
async function largeBodies(envoyBinary: string): Promise<object> {
  const model = await startSlicesModel();
  const limit = 16 * 1024 * 1024;
  const bench = await startBench(envoyBinary, { modelPort: model.port, maxRequestBytes: limit });
  try {
    const { port, token } = bench.systems.find(({ name }) => name === 'sallyport')!.target;
    const target = { port, token, watch: () => bench.watch() };
    const rows = await slices(target, model, values.sizes.split(',').map(Number), rounds);
    report('large bodies: the longest time that one holds the event loop of the gateway', rows);
    return rows;
  } finally {
    await bench.close();
    model.close();
  }
}

async function reloading(binary: string): Promise<object> {
  const bench = await startBench(binary, { models: otherModels(), profileDir: values.profile });
  try {
    const system = bench.systems.find(({ name }) => name === 'sallyport')!;
    const work = exchange(system, false, 'What happened in the harbour today?');
    const { target } = system;
    const reloaded = { target, dir: bench.policies, metrics: () => bench.metrics(), watch: () => bench.watch() };
    const rows = await reload(reloaded, work, { rounds, seconds, clients });
    report('policies reloaded under load', rows);
    return rows;
  } finally {
    await bench.close();
  }
}

const mb = (bytes: number): number => Math.round(bytes / 1024 / 1024);

function report(title: string, rows: readonly object[]): void {
  if (values.json) return;
  process.stdout.write(`\n${title}\n`);
  console.table(rows);
}

const results: Record<string, object> = {};
const wanted = new Set(values.only.split(','));

function envoyBinary(): string {
  const binary = process.env['ENVOY_BIN'];
  if (binary === undefined) throw new Error('ENVOY_BIN is not set: run this with `npm run bench`');
  return binary;
}

async function behindEnvoy(): Promise<void> {
  const bench = await startBench(envoyBinary(), { profileDir: values.profile });
  try {
    const parts = {
      // Memory first: what earlier loads have left in the heap is not what live streams take.
      memory: () => held(bench),
      json: () => compare(bench, 'JSON answers of 100 words', false, 'requests', 1),
      streams: () => compare(bench, `streams of ${EVENTS} events, back to back`, true, 'streams', EVENTS),
      paced: () => pace(bench),
    };
    for (const [name, part] of Object.entries(parts)) if (wanted.has(name)) results[name] = await part();
  } finally {
    await bench.close();
  }
}

if (wanted.has('mask')) results['mask'] = masking(report, 2 * rounds + 1);
if (wanted.has('scan')) results['scan'] = await scans(report);
if (wanted.has('identity')) results['identity'] = await identity(report);
if (wanted.has('policies')) results['policies'] = await policies(report);
if (['memory', 'json', 'streams', 'paced'].some((name) => wanted.has(name))) await behindEnvoy();
if (wanted.has('slices')) results['slices'] = await largeBodies(envoyBinary());
if (wanted.has('reload')) results['reload'] = await reloading(envoyBinary());
if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
