import { CliError, exitCodes } from '../cli.ts';

/**
 * Runs `work` with a signal that is aborted by Ctrl-C (and SIGTERM, SIGHUP) and after `timeoutMs`. Its reason is a CliError; `work` should
 * reject with it.
 */
export async function interruptible<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const aborter = new AbortController();
  let isInterrupted = false;
  const onSignal = () => {
    isInterrupted = true;
    aborter.abort(new CliError(exitCodes.interrupted, 'Stopped.', 'Nothing was stored; run it again when you like.'));
  };
  const onTime = () =>
    aborter.abort(
      new CliError(
        exitCodes.failed,
        `Nobody signed in within ${Math.round(timeoutMs / 1000)} s.`,
        'Nothing was stored. Run `sallyport login` again.',
      ),
    );
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const timer = setTimeout(onTime, timeoutMs);
  for (const name of names) process.on(name, onSignal);
  try {
    return await work(aborter.signal);
  } finally {
    clearTimeout(timer);
    // Ctrl-C comes from the terminal and from npx: the second one must not cut off what is said about the first.
    if (!isInterrupted) for (const name of names) process.off(name, onSignal);
  }
}
