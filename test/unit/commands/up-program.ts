/** `serve` and `up` in a process of their own, in front of a gateway that does nothing but start and stop. */

import { once } from 'node:events';
import { runCli } from '../../../src/commands/cli.ts';
import { serveCommand } from '../../../src/commands/serve.ts';
import { upCommand } from '../../../src/commands/up.ts';
import type { StartGateway } from '../../../src/gateway/running.ts';

const mode = process.env['MODE'] ?? '';

const start: StartGateway = async (_, { onProgress, envoyBin }) => {
  if (mode === 'does-not-start')
    throw Object.assign(new Error('the journal is locked by process 7'), { remedy: 'Stop process 7.' });
  const listening = setInterval(() => {}, 60_000);
  if (mode === 'starts-slowly') {
    onProgress('half-way');
    await once(process, 'SIGINT');
  }
  onProgress(envoyBin === undefined ? 'gateway without Envoy' : 'gateway with Envoy');
  return {
    addresses: { envoy: 'http://127.0.0.1:10000', public: 'http://127.0.0.1:9190' },
    ...(mode === 'part-fails' ? { failed: Promise.resolve('Envoy ended (exit code 1).') } : {}),
    reload: async () => {},
    async close() {
      if (mode === 'hangs-in-close') await new Promise(() => {});
      clearInterval(listening);
    },
  };
};

process.exitCode = await runCli(
  [upCommand(start), serveCommand(start)],
  process.argv.slice(2),
  { stdout: process.stdout, stderr: process.stderr, env: process.env, user: 'ann' },
  '1.2.3',
);
