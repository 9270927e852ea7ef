/** `sallyport serve` as a process of its own: `node gate-process.ts serve --config FILE`. SIGTERM drains it. */
import { runCli } from '../../../src/commands/cli.ts';
import { serveCommand } from '../../../src/commands/serve.ts';
import { environment } from '../../../src/config.ts';
import { startGateway, version } from '../../../src/gateway.ts';

const io = { stdout: process.stdout, stderr: process.stderr, env: environment(), user: 'test' };
process.exitCode = await runCli([serveCommand(startGateway)], process.argv.slice(2), io, version);
