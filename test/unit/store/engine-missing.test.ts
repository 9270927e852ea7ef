import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { EngineReply } from '../../../src/store/engine-protocol.ts';

it('the engine process says so when the optional package chdb is not installed', async () => {
  // A folder from which no node_modules can be found.
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-engine-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const script = join(dir, 'engine-process.ts');
  copyFileSync(new URL('../../../src/store/engine-process.ts', import.meta.url), script);
  const child = fork(script, {
    serialization: 'advanced',
    execArgv: [],
    env: {},
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  child.send({ id: 1, op: 'open', dataDir: dir, configFile: join(dir, 'engine.xml'), queryTimeoutMs: 1000 });
  const [reply] = (await once(child, 'message')) as [EngineReply];
  expect(reply).toMatchObject({ id: 1, ok: false, missing: true });
  const gone = once(child, 'exit');
  child.disconnect();
  expect(await gone).toEqual([0, null]);
});
