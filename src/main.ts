#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type AddCommand, runCli } from './commands/cli.ts';
import { doctorCommand } from './commands/doctor.ts';
import { envoyCommand } from './commands/envoy.ts';
import { explainCommand } from './commands/explain.ts';
import { schemaCommand } from './commands/schema.ts';
import { sessionsCommand } from './commands/sessions.ts';
import { sqlCommand } from './commands/sql.ts';
import { tokenCommand } from './commands/token.ts';
import { configSchema, environment } from './config.ts';

/** Every command of `sallyport`; one file a command. */
const commands: readonly AddCommand[] = [
  tokenCommand,
  sessionsCommand(),
  explainCommand(),
  sqlCommand(),
  doctorCommand(),
  // Loaded when asked for: they bring in most of the gateway, which other commands do not need.
  envoyCommand({
    print: async (config, target) => (await import('./gateway/envoy-print.ts')).printForConfig(config, target),
    check: async (text) => (await import('./envoy/check.ts')).checkEnvoyConfig(text),
  }),
  schemaCommand({ config: configSchema }),
];

// `sallyport sessions list | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
  version: string;
};

process.exitCode = await runCli(
  commands,
  process.argv.slice(2),
  { stdout: process.stdout, stderr: process.stderr, env: environment(), user: userInfo().username },
  version,
);

// Whatever still holds the process (a connection that does not close, say) gets two seconds.
setTimeout(() => process.exit(), 2_000).unref();
