import type { RunningGateway } from '../gateway/running.ts';
import type { Io } from './cli.ts';

/** Ctrl-C reaches us from the terminal, from npm and from its script: what comes within this time is one. */
const togetherMs = 500;

/** The signals that end a server. Taken before it starts, so that one that comes while it starts is not lost. */
export interface Signals {
  /** Resolves at the first SIGINT or SIGTERM (SIGHUP, where nothing else is asked for). A second one ends the process at once, with 130. */
  readonly stopped: Promise<void>;
  /** Whether `stopped` has resolved. */
  readonly isStopped: () => boolean;
  /** From now on SIGHUP calls this and ends nothing. Before it is called, the first SIGHUP of a server still ends it. */
  onHangup(reload: () => void): void;
  /** Gives the signals back. */
  release(): void;
}

export function takeSignals(io: Io): Signals {
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  let firstAtMs: number | undefined;
  let onHangup: (() => void) | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (name === 'SIGHUP' && onHangup !== undefined) return onHangup();
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      io.stderr.write('\nStopping (Ctrl-C again to force) …\n');
      stop();
    } else if (nowMs - firstAtMs > togetherMs) process.exit(130);
  };
  for (const name of names) process.on(name, onSignal);
  return {
    stopped,
    isStopped: () => firstAtMs !== undefined,
    onHangup(reload) {
      onHangup = reload;
    },
    release() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

/**
 * Waits for a signal, or until the gateway fails, then closes the gateway.
 * @returns the exit code: 0 after a signal, 1 when something failed
 */
export async function untilStopped(io: Io, signals: Signals, gateway: RunningGateway): Promise<number> {
  const stopped = signals.stopped.then(() => undefined);
  const failed = gateway.failed ?? new Promise<never>(() => {});
  const reason = await Promise.race([stopped, failed]);
  if (reason !== undefined) io.stderr.write(`\n${reason}\nStopping …\n`);
  await gateway.close();
  io.stderr.write('Stopped.\n');
  return reason === undefined ? 0 : 1;
}
