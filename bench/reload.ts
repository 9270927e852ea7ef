/**
 * Reloading 1,000 rules under load: the same requests in turns with policies that stay and with policies that change all the
 * time. Every answer is asserted, so that one failed request ends the bench; what reloading adds to p99 is the result.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Exchange, quantile, type Target, throughput } from './load.ts';

const MODELS = 100;
const RULES_EACH = 10;
/** Most that reloading may add to the 99th percentile, milliseconds. */
const MAX_ADDED_MS = 10;

/** Models beside the bench's own, for the rules to be about; nobody calls them. */
export const otherModels = (): string =>
  Array.from(
    { length: MODELS },
    (_, n) => `  - {name: other-${n}, version: "1", upstream: "http://127.0.0.1:9", formats: [openai-chat]}\n`,
  ).join('');

/** Another set of policies with each `turn`: as many rules, other messages. */
function writePolicies(dir: string, turn: number): void {
  for (let model = 0; model < MODELS; model++) {
    const rules = Array.from(
      { length: RULES_EACH },
      (_, n) =>
        `    - {name: rule-${n}, when: 'request.tokens > ${1000 + n} && "group-${n}" in caller.groups', then: deny, message: "turn ${turn}"}\n`,
    ).join('');
    const head = `apiVersion: sallyport/v1\nkind: Policy\nmetadata: {name: other-${model}}\nspec:\n`;
    writeFileSync(join(dir, `other-${model}.yaml`), `${head}  models: [other-${model}]\n  rules:\n${rules}`);
  }
}

export interface ReloadBench {
  readonly target: Target;
  /** Folder of the policies. */
  readonly dir: string;
  readonly metrics: () => Promise<string>;
}

const loads = async ({ metrics }: ReloadBench): Promise<number> =>
  Number(/^sallyport_policy_reloads_total\{outcome="loaded"\} (\d+)/m.exec(await metrics())?.[1] ?? 0);

export async function reload(
  bench: ReloadBench,
  exchange: Exchange,
  options: { readonly rounds: number; readonly seconds: number; readonly clients: number },
): Promise<readonly object[]> {
  const { rounds, seconds, clients } = options;
  let turn = 0;
  writePolicies(bench.dir, turn);
  await loadedOnce(bench, await loads(bench));
  await throughput(bench.target, exchange, clients, 1);
  const p99: { quiet: number[]; reloading: number[] } = { quiet: [], reloading: [] };
  const before = await loads(bench);
  for (let round = 0; round < rounds; round++) {
    const quiet = await throughput(bench.target, exchange, clients, seconds);
    const timer = setInterval(() => {
      turn += 1;
      writePolicies(bench.dir, turn);
    }, 1_500);
    const reloading = await throughput(bench.target, exchange, clients, seconds);
    clearInterval(timer);
    p99.quiet.push(quantile(quiet.latencies, 0.99));
    p99.reloading.push(quantile(reloading.latencies, 0.99));
  }
  const count = (await loads(bench)) - before;
  if (count < rounds) throw new Error(`only ${count} reloads in ${rounds} rounds: nothing was measured`);
  const [quiet, reloading] = [median(p99.quiet), median(p99.reloading)];
  if (reloading - quiet > MAX_ADDED_MS)
    throw new Error(`reloading adds ${(reloading - quiet).toFixed(1)} ms to p99, more than ${MAX_ADDED_MS}`);
  const row = { 'p99 ms': quiet.toFixed(2), 'p99 ms while reloading': reloading.toFixed(2) };
  return [{ rules: MODELS * RULES_EACH, reloads: count, ...row, 'added ms': (reloading - quiet).toFixed(2) }];
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
