import type { Io } from './cli.ts';

/** Progress lines on stderr: one a part, with a tick; on a terminal the part that is under way is shown too. */
export interface Progress {
  /** Shows what is under way while `work` runs, then `done` of its result. */
  step<T>(doing: string, work: () => Promise<T>, done: (result: T) => string): Promise<T>;
  /** A part is there. */
  tick(done: string): void;
}

export function createProgress(io: Io): Progress {
  const { stderr } = io;
  const isTerminal = stderr.isTTY === true && io.env['NO_COLOR'] === undefined && io.env['TERM'] !== 'dumb';
  const clear = isTerminal ? '\r\x1b[K' : '';
  const green = (text: string) => (isTerminal ? `\x1b[32m${text}\x1b[0m` : text);
  const tick = (done: string) => void stderr.write(`${clear}  ${green('✓')} ${done}\n`);
  return {
    tick,
    async step(doing, work, done) {
      if (isTerminal) stderr.write(`${clear}  … ${doing}`);
      try {
        const result = await work();
        tick(done(result));
        return result;
      } catch (error) {
        stderr.write(`${clear}  ✗ ${doing}\n`);
        throw error;
      }
    },
  };
}
