/** What has to be done again and again beside the requests: reading lists, publishing keys, tidying up. */
import type { Log } from '../observe/log.ts';

export interface Chore {
  /** For the log. */
  readonly part: string;
  readonly everyMs: number;
  readonly run: () => Promise<void>;
}

/** Runs each once now, then again `everyMs` after it ended. One that fails is logged when that begins, and tried again. */
export async function chores(
  log: Pick<Log, 'warn' | 'info'>,
  all: readonly Chore[],
): Promise<{ stop(): Promise<void> }> {
  let stopped = false;
  const timers = new Set<NodeJS.Timeout>();
  const running = new Set<Promise<void>>();
  const failing = new Set<Chore>();
  const once = async (chore: Chore): Promise<void> => {
    try {
      await chore.run();
      if (failing.delete(chore)) log.info('what failed before is done again', { part: chore.part });
    } catch (error) {
      if (!failing.has(chore))
        log.warn('something that is done regularly failed; it is tried again', { part: chore.part, error });
      failing.add(chore);
    }
  };
  const again = (chore: Chore): void => {
    if (stopped) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      const run = once(chore).then(() => {
        running.delete(run);
        again(chore);
      });
      running.add(run);
    }, chore.everyMs).unref();
    timers.add(timer);
  };
  for (const chore of all) {
    await once(chore);
    again(chore);
  }
  return {
    stop: async () => {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
