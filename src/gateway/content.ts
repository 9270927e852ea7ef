/** What checks a request's content beside the detectors: word lists and patterns, and classifiers elsewhere. */
import { type Config, shownPath } from '../config.ts';
import type { Filters, Guard } from '../guard/guard.ts';
import { createGuards, GuardConfigError } from '../guard/guards.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { openFilters } from './filters.ts';
import { GatewayRefused } from './refused.ts';

export interface ContentParts {
  /** Those in force; undefined: none are configured. */
  readonly filters: () => Filters | undefined;
  /** What `/readyz` says of them; undefined: none are configured. */
  readonly filterStatus: () => string | undefined;
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

/** Throws GatewayRefused, with every problem. */
export async function openContent({ config, environment, log, metrics }: ContentNeeds): Promise<ContentParts> {
  const lists = await openFilters({ config, log, metrics });
  const guards = guardsOf({ config, environment, log, metrics });
  return {
    filters: () => lists?.current,
    filterStatus: () => lists?.status,
    guards: guards.byName,
    reload: async () => lists?.reload(),
    close: async () => {
      await lists?.close();
      await guards.close();
    },
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
