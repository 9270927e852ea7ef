/**
 * Reloading 1,000 rules under load: the same requests in turns with policies that stay and with policies that change all the
 * time. Every answer is asserted, so that one failed request ends the bench; what reloading adds to p99 is the result.
 */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Exchange, quantile, type Target, throughput } from './load.ts';

const MODELS = 100;
const RULES_EACH = 10;
/** Most that reloading may add to the 99th percentile, milliseconds. */
const MAX_ADDED_MS = 10;
/** Part of what the machine can do that is asked of it: where more is asked, whatever takes time adds to every request behind it. */
const LOAD = 0.5;
/** How often the policies change; the gateway looks each second. */
const SWAP_MS = 1_500;

/** Models beside the bench's own, for the rules to be about; nobody calls them. */
export const otherModels = (): string =>
  Array.from(
    { length: MODELS },
    (_, n) => `  - {name: other-${n}, version: "1", upstream: "http://127.0.0.1:9", formats: [openai-chat]}\n`,
  ).join('');

/**
 * Two sets of policies, as many rules with other messages, ready in folders that are left out. Which of them is in force is a
 * link, as in a ConfigMap: the client has nothing else to write while it measures.
 */
function writePolicies(dir: string): void {
  for (const side of sides) {
    mkdirSync(join(dir, side));
    for (let model = 0; model < MODELS; model++) {
      const rules = Array.from(
        { length: RULES_EACH },
        (_, n) =>
          `    - {name: rule-${n}, when: 'request.tokens > ${1000 + n} && "group-${n}" in caller.groups', then: deny, message: "${side}"}\n`,
      ).join('');
      const head = `apiVersion: sallyport/v1\nkind: Policy\nmetadata: {name: other-${model}}\nspec:\n`;
      writeFileSync(join(dir, side, `other-${model}.yaml`), `${head}  models: [other-${model}]\n  rules:\n${rules}`);
    }
  }
}

const sides = ['.a', '.b'] as const;

function swapTo(dir: string, turn: number): void {
  symlinkSync(sides[turn % 2]!, join(dir, '.next'));
  renameSync(join(dir, '.next'), join(dir, '_platform'));
}

export interface ReloadBench {
  readonly target: Target;
  /** Folder of the policies. */
  readonly dir: string;
  readonly metrics: () => Promise<string>;
  /** See Bench. */
  readonly watch: () => () => Promise<number>;
}

const loads = async ({ metrics }: ReloadBench): Promise<number> =>
  Number(/^sallyport_policy_reloads_total\{outcome="loaded"\} (\d+)/m.exec(await metrics())?.[1] ?? 0);

export async function reload(
  bench: ReloadBench,
  exchange: Exchange,
  options: { readonly rounds: number; readonly seconds: number; readonly clients: number },
): Promise<readonly object[]> {
  const { rounds, seconds, clients } = options;
  const before = await loads(bench);
  writePolicies(bench.dir);
  let turn = 0;
  swapTo(bench.dir, turn);
  await loadedOnce(bench, before);
  // Nothing is warm yet: neither the gate nor what loads policies.
  await throughput(bench.target, exchange, clients, 2);
  const most = await throughput(bench.target, exchange, clients, 2);
  const everyMs = (clients * 1000) / ((most.count / most.seconds) * LOAD);
  const window = async (reloads: boolean): Promise<Window> => {
    const loaded = await loads(bench);
    const swap = () => {
      turn += 1;
      swapTo(bench.dir, turn);
    };
    const timer = reloads ? setInterval(swap, SWAP_MS) : undefined;
    const { count, latencies } = await throughput(bench.target, exchange, clients, seconds, everyMs);
    clearInterval(timer);
    return {
      count,
      loads: (await loads(bench)) - loaded,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
    };
  };
  await window(true);
  const quiet: Window[] = [];
  const reloading: Window[] = [];
  for (let round = 0; round < rounds; round++) {
    // In turns: the one that comes second would else always find the machine a little later.
    const first = round % 2 === 0;
    for (const reloads of [!first, first]) (reloads ? reloading : quiet).push(await window(reloads));
  }
  // Apart: who watches keeps the loop busy.
  const held = async (reloads: boolean): Promise<string> => {
    const report = bench.watch();
    await window(reloads);
    return (await report()).toFixed(1);
  };
  const [quietHeld, reloadingHeld] = [await held(false), await held(true)];
  const count = reloading.reduce((sum, { loads: each }) => sum + each, 0);
  if (count < rounds) throw new Error(`only ${count} reloads in ${rounds} rounds: nothing was measured`);
  const added = reloading.map(({ p99 }, round) => p99 - quiet[round]!.p99);
  const of = (windows: readonly Window[], key: keyof Window) => median(windows.map((one) => one[key])).toFixed(2);
  return [
    {
      rules: MODELS * RULES_EACH,
      reloads: count,
      'requests/s': Math.round((clients * 1000) / everyMs),
      requests: [...quiet, ...reloading].reduce((sum, each) => sum + each.count, 0),
      'p50 ms': of(quiet, 'p50'),
      'p50 reloading': of(reloading, 'p50'),
      'p99 ms': of(quiet, 'p99'),
      'p99 reloading': of(reloading, 'p99'),
      'added to p99, median of rounds': median(added).toFixed(2),
      'min–max': `${Math.min(...added).toFixed(1)}–${Math.max(...added).toFixed(1)}`,
      'loop held, ms': quietHeld,
      'held reloading': reloadingHeld,
      aim: `≤ ${MAX_ADDED_MS} ms`,
    },
  ];
}

interface Window {
  readonly count: number;
  readonly loads: number;
  readonly p50: number;
  readonly p99: number;
}

async function loadedOnce(bench: ReloadBench, before: number): Promise<void> {
  const until = Date.now() + 20_000;
  while ((await loads(bench)) === before) {
    if (Date.now() > until) throw new Error('the policies were not loaded within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
