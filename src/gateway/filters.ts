/** The content filters in force: read from their files, again by SIGHUP and when a file changes. */
import { readFile, stat } from 'node:fs/promises';
import { type Config, shownPath } from '../config.ts';
import { paced } from '../exchange/pace.ts';
import { type FilterProblem, type LoadedFilters, loadFilters } from '../guard/filters.ts';
import type { Filters } from '../guard/guard.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { watchPolicies } from '../policy/watch.ts';
import { GatewayRefused } from './refused.ts';
import { nowMs } from './request.ts';

export interface FilterNeeds {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface FilterLists {
  readonly current: Filters;
  /** For `/readyz`. */
  readonly status: string;
  /** Reads the lists again. What is wrong leaves the old ones in force; the log says what. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

type Loaded = Extract<LoadedFilters, { ok: true }>;

/** Problems of one try that are logged. */
const LOGGED_PROBLEMS = 10;
/** File systems count time in steps of up to some milliseconds: what changed a moment ago is read once more. */
const SETTLED_MS = 50;

/** Reads the files that the config names. */
export const readFilters = (config: Pick<Config, 'filters'>): Promise<LoadedFilters> =>
  loadFilters(config.filters, { readFile: (path) => readFile(path), run: paced });

/** `  file:line:column path: message`, a line each. */
export const filterProblems = (config: Pick<Config, 'file'>, problems: readonly FilterProblem[]): string =>
  problems
    .map(({ file, path, line, column, message }) =>
      file === undefined
        ? `  ${shownPath(config.file)} ${path}: ${message}`
        : `  ${shownPath(file)}:${line}:${column} ${message}`,
    )
    .join('\n');

/** Loads and watches them; undefined where none are configured. Throws GatewayRefused, with every problem. */
export async function openFilters(needs: FilterNeeds): Promise<FilterLists | undefined> {
  const { config, log } = needs;
  if (config.filters.length === 0) return undefined;
  const marks = await marksOf(config);
  const loaded = await readFilters(config);
  if (!loaded.ok)
    throw new GatewayRefused(`the content filters are wrong:\n${filterProblems(config, loaded.problems)}`);
  const lists = new Lists(needs, loaded, marks);
  const { interval } = config.policies.reload;
  if (interval === undefined) return lists;
  const watch = watchPolicies({
    changed: () => lists.changed(),
    reload: () => lists.reload('watch'),
    intervalMs: interval,
    failed: (error) => log.error('the content filters could not be read again; those in force stay', { error }),
  });
  lists.close = () => watch.stop();
  return lists;
}

class Lists implements FilterLists {
  readonly #needs: FilterNeeds;
  #loaded: Loaded;
  #sinceMs = nowMs();
  /** What the files were when they were last read. */
  #marks: string;
  #problem: { readonly text: string; readonly sinceMs: number } | undefined;
  /** One reload after the other: the last one sees the newest files. */
  #turn: Promise<void> = Promise.resolve();

  constructor(needs: FilterNeeds, loaded: Loaded, marks: string) {
    this.#needs = needs;
    this.#loaded = loaded;
    this.#marks = marks;
    this.#took('loaded');
  }

  get current(): Filters {
    return this.#loaded.filters;
  }

  get status(): string {
    const { filters, entries } = this.#loaded;
    const since = time(this.#sinceMs);
    const now = `${filters.names.length} filter(s), ${entries} entries, revision ${filters.revision}, in force since ${since}`;
    const problem = this.#problem;
    return problem === undefined ? now : `${now}; refused since ${time(problem.sinceMs)}: ${problem.text}`;
  }

  /** One stat a file. */
  async changed(): Promise<boolean> {
    return (await marksOf(this.#needs.config)) !== this.#marks;
  }

  /** @param asker who asks: the watch is not told that nothing is new */
  reload(asker: 'operator' | 'watch' = 'operator'): Promise<void> {
    const done = this.#turn.then(() => this.#reload(asker));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  close = async (): Promise<void> => {};

  async #reload(asker: 'operator' | 'watch'): Promise<void> {
    const { config, metrics, log } = this.#needs;
    this.#marks = await marksOf(config);
    const again = await readFilters(config);
    if (!again.ok) {
      const text = filterProblems(config, again.problems.slice(0, LOGGED_PROBLEMS));
      const isKnown = this.#problem?.text === firstLine(text);
      this.#problem = { text: firstLine(text), sinceMs: this.#problem?.sinceMs ?? nowMs() };
      metrics.filters({ outcome: 'refused' });
      if (!isKnown || asker === 'operator')
        log.error('the content filters are wrong; those in force stay', { count: again.problems.length, line: text });
      return;
    }
    const isNew = again.filters.revision !== this.#loaded.filters.revision;
    this.#problem = undefined;
    if (isNew) {
      this.#loaded = again;
      this.#sinceMs = nowMs();
    }
    this.#took(isNew ? 'loaded' : 'same', asker);
  }

  #took(outcome: 'loaded' | 'same', asker = 'operator'): void {
    const { filters, entries } = this.#loaded;
    this.#needs.metrics.filters({ outcome, revision: filters.revision, entries });
    if (outcome === 'same' && asker === 'watch') return;
    const what = outcome === 'loaded' ? 'content filters come into force' : 'content filters were read again: the same';
    this.#needs.log.info(what, { part: 'filters', revision: filters.revision, count: entries });
  }
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').trim().slice(0, 500);

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** Which files there are, of which size and date: different whenever one is. Never equal just after a change. */
async function marksOf({ filters }: Pick<Config, 'filters'>): Promise<string> {
  const files = new Set(filters.flatMap(({ wordFiles, patternFiles }) => [...wordFiles, ...patternFiles]));
  const marks: string[] = [];
  for (const file of files)
    marks.push(
      await stat(file, { bigint: true }).then(
        ({ dev, ino, size, mtimeNs, ctimeNs }) => {
          const isSettled = Math.abs(Date.now() - Number(ctimeNs / 1_000_000n)) > SETTLED_MS;
          return `${dev}:${ino} ${size} ${mtimeNs} ${ctimeNs}${isSettled ? '' : ' new'}`;
        },
        () => 'cannot be looked at',
      ),
    );
  return marks.join('\n');
}
