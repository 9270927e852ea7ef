#!/usr/bin/env -S node --max-semi-space-size=4
// Semi-space, MiB: live streams keep little, so a small young generation costs no speed and saves 40 MB at 500 of them.
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { OpenArchive } from './commands/admin-client.ts';
import { type AddCommand, runCli } from './commands/cli.ts';
import { decryptCommand } from './commands/decrypt.ts';
import { doctorCommand } from './commands/doctor.ts';
import { envoyCommand } from './commands/envoy.ts';
import { explainCommand } from './commands/explain.ts';
import { hashValuesCommand } from './commands/hash-values.ts';
import { inspectTokenCommand } from './commands/inspect-token.ts';
import { loginCommand } from './commands/login.ts';
import { logoutCommand } from './commands/logout.ts';
import { maskCommand } from './commands/mask.ts';
import { policyCommand } from './commands/policy.ts';
import { proxyCommand } from './commands/proxy.ts';
import { revokeCommand } from './commands/revoke.ts';
import { scanCommand } from './commands/scan.ts';
import { schemaCommand } from './commands/schema.ts';
import { serveCommand } from './commands/serve.ts';
import { sessionsCommand } from './commands/sessions.ts';
import { sqlCommand } from './commands/sql.ts';
import { tokenCommand } from './commands/token.ts';
import { upCommand } from './commands/up.ts';
import { whoamiCommand } from './commands/whoami.ts';
import { configSchema, environment } from './config.ts';
import type { StartGateway } from './gateway/running.ts';
import { modelsFile } from './models/schema.ts';
import { casesFile } from './policy/cases/schema.ts';
import { policyDocument } from './policy/schema.ts';

/** Loaded when it is needed: `token` and `--help` should not wait for gRPC and the engine. */
const start: StartGateway = async (config, options) => (await import('./gateway.ts')).startGateway(config, options);
const open: OpenArchive = async (config) => (await import('./commands/open-archive.ts')).openArchive(config);

/** Rejects where the program that opens browsers is not there or fails. */
const openBrowser = async (url: string) => (await import('open')).default(url);

/** Every command of `sallyport`; one file a command. */
const commands: readonly AddCommand[] = [
  upCommand(start),
  serveCommand(start),
  loginCommand(openBrowser),
  tokenCommand,
  whoamiCommand,
  logoutCommand,
  proxyCommand,
  inspectTokenCommand,
  sessionsCommand(open),
  explainCommand(open),
  decryptCommand,
  policyCommand(open),
  sqlCommand(open),
  revokeCommand,
  envoyCommand,
  doctorCommand,
  scanCommand,
  maskCommand,
  hashValuesCommand,
  schemaCommand({ config: configSchema, models: modelsFile, policies: policyDocument, cases: casesFile }),
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
  {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: environment(),
    user: userInfo().username,
  },
  version,
);

// Whatever still holds the process (a connection that does not close, say) gets two seconds.
setTimeout(() => process.exit(), 2_000).unref();
