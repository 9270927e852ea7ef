import type { Io } from './cli.ts';

/** Ctrl-C reaches us from the terminal, from npm and from its script: what comes within this time is one. */
const togetherMs = 500;

/**
 * Waits for SIGINT, SIGTERM or SIGHUP (or for `failed`), then runs `close`. A second signal while closing ends the process at
 * once with 130.
 * @returns the exit code: 0 after a signal, 1 when something failed
 */
export async function untilStopped(
  io: Io,
  failed: Promise<string> | undefined,
  close: () => Promise<void>,
): Promise<number> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let firstAtMs: number | undefined;
  let stop: (reason: string | undefined) => void = () => {};
  const stopped = new Promise<string | undefined>((resolve) => {
    stop = resolve;
  });
  const onSignal = () => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      stop(undefined);
    } else if (nowMs - firstAtMs > togetherMs) process.exit(130);
  };
  for (const signal of signals) process.on(signal, onSignal);
  failed?.then(stop, (error: unknown) => stop(error instanceof Error ? error.message : 'a part failed'));
  try {
    const reason = await stopped;
    io.stderr.write(reason === undefined ? '\nStopping (Ctrl-C again to force) …\n' : `\n${reason}\nStopping …\n`);
    await close();
    io.stderr.write('Stopped.\n');
    return reason === undefined ? 0 : 1;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
