/**
 * The gateway as a child of the bench: starts from a config file, says when it is ready, ends with its parent. Told
 * `watch`, it measures until `report` the most that its event loop did between two looks at I/O.
 */
import { openSync, readSync } from 'node:fs';
import { environment, loadConfig } from '../src/config.ts';
import { startGateway } from '../src/gateway.ts';
import { createLog } from '../src/observe/log.ts';

const loaded = loadConfig(process.argv[2] ?? '', environment());
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
const log = createLog({ level: 'warn', target: process.stderr });
const gateway = await startGateway(loaded.config, { log, onProgress: () => {} });

/**
 * Milliseconds that this thread was ready to run while others did (Linux, Documentation/scheduler/sched-stats.rst:
 * `<run> <wait> <slices>` in nanoseconds).
 */
const schedstat = process.platform === 'linux' ? openSync('/proc/thread-self/schedstat', 'r') : undefined;
const line = Buffer.alloc(128);
function waitedMs(): number {
  if (schedstat === undefined) return 0;
  const [, waited = '0'] = line.toString('latin1', 0, readSync(schedstat, line, 0, line.length, 0)).split(' ');
  return Number(waited) / 1e6;
}

/** CPU time of this thread in milliseconds. Under load some systems count it in steps of a few. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/**
 * A turn a tick, without a pause: what lies between two of them held the event loop. The lesser of clock and CPU time, as
 * the clock counts what other processes take, too: from this thread, and from V8's helpers that it waits for.
 */
const watched = { on: false, clock: 0, cpu: 0, longest: 0 };
function tick(): void {
  const clock = performance.now() - waitedMs();
  const cpu = cpuMs();
  watched.longest = Math.max(watched.longest, Math.min(clock - watched.clock, cpu - watched.cpu));
  Object.assign(watched, { clock, cpu });
  if (watched.on) setImmediate(tick);
}

process.on('message', (message) => {
  if (message === 'watch') {
    Object.assign(watched, { on: true, clock: performance.now() - waitedMs(), cpu: cpuMs(), longest: 0 });
    setImmediate(tick);
  } else {
    watched.on = false;
    process.send?.({ longestMs: watched.longest });
  }
});
process.on('disconnect', () => {
  void gateway.close().then(() => process.exit(0));
});
process.send?.({ ready: true, internal: gateway.addresses['internal'] });
