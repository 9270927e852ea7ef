/**
 * The gateway as a child of the bench: starts from a config file, says when it is ready, ends with its parent. Told
 * `watch`, it measures until `report` the most that its event loop did between two looks at I/O.
 */
import { environment, loadConfig } from '../src/config.ts';
import { startGateway } from '../src/gateway.ts';
import { createLog } from '../src/observe/log.ts';

const loaded = loadConfig(process.argv[2] ?? '', environment());
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
const log = createLog({ level: 'warn', target: process.stderr });
const gateway = await startGateway(loaded.config, { log, onProgress: () => {} });

/** CPU time of this thread in milliseconds. Some systems count it in steps of a few. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/**
 * A turn a tick, without a pause: what lies between two of them held the event loop. The lesser of clock and CPU time: the
 * clock counts what other processes take, too.
 */
const watched = { on: false, clock: 0, cpu: 0, longest: 0 };
function tick(): void {
  const clock = performance.now();
  const cpu = cpuMs();
  watched.longest = Math.max(watched.longest, Math.min(clock - watched.clock, cpu - watched.cpu));
  Object.assign(watched, { clock, cpu });
  if (watched.on) setImmediate(tick);
}

process.on('message', (message) => {
  if (message === 'watch') {
    Object.assign(watched, { on: true, clock: performance.now(), cpu: cpuMs(), longest: 0 });
    setImmediate(tick);
  } else {
    watched.on = false;
    process.send?.({ longestMs: watched.longest });
  }
});
process.on('disconnect', () => {
  void gateway.close().then(() => process.exit(0));
});
process.send?.({ ready: true });
