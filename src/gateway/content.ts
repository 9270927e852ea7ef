/** What checks a request's content beside the detectors: word lists and patterns, and classifiers elsewhere. */
import { readFile } from 'node:fs/promises';
import { type Config, shownPath } from '../config.ts';
import { paced } from '../exchange/pace.ts';
import { type FilterProblem, type LoadedFilters, loadFilters } from '../guard/filters.ts';
import type { Filters, Guard } from '../guard/guard.ts';
import { createGuards, GuardConfigError } from '../guard/guards.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { GatewayRefused } from './refused.ts';

export interface ContentParts {
  /** Those in force; undefined: none are configured. */
  readonly filters: () => Filters | undefined;
  readonly guards: ReadonlyMap<string, Guard>;
  /** Reads the lists again. What is wrong leaves the old ones in force; the log says what. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

export interface ContentNeeds {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly metrics: Metrics;
}

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

/** Throws GatewayRefused, with every problem. */
export async function openContent({ config, environment, log, metrics }: ContentNeeds): Promise<ContentParts> {
  const loaded = await readFilters(config);
  if (!loaded.ok)
    throw new GatewayRefused(`the content filters are wrong:\n${filterProblems(config, loaded.problems)}`);
  const guards = guardsOf({ config, environment, log, metrics });
  const some = config.filters.length > 0;
  let filters = some ? loaded.filters : undefined;
  return {
    filters: () => filters,
    guards: guards.byName,
    reload: async () => {
      if (!some) return;
      const again = await readFilters(config);
      if (again.ok) filters = again.filters;
      else
        log.error('the content filters are wrong; those in force stay', {
          count: again.problems.length,
          line: filterProblems(config, again.problems.slice(0, 10)),
        });
    },
    close: () => guards.close(),
  };
}

function guardsOf({ config, environment, metrics }: ContentNeeds) {
  try {
    return createGuards(config.guards, {
      env: environment,
      observer: { checked: (guard, outcome, how, ms) => metrics.guard(guard, outcome, how, ms) },
    });
  } catch (error) {
    if (!(error instanceof GuardConfigError)) throw error;
    throw new GatewayRefused(`${shownPath(config.file)}: guards: ${error.message}`);
  }
}
