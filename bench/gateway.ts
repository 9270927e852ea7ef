/** The gateway as a child of the bench: starts from a config file, says when it is ready, ends with its parent. */
import { environment, loadConfig } from '../src/config.ts';
import { startGateway } from '../src/gateway.ts';
import { createLog } from '../src/observe/log.ts';

const loaded = loadConfig(process.argv[2] ?? '', environment());
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
const log = createLog({ level: 'warn', target: process.stderr });
const gateway = await startGateway(loaded.config, { log, onProgress: () => {} });
process.send?.({ ready: true });
process.on('disconnect', () => {
  void gateway.close().then(() => process.exit(0));
});
