import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type AddCommand, runCli } from '../../../src/commands/cli.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder with a configuration that holds; returns folder, file and state folder. */
export function project(extra = '', upstream = 'http://llama.models.svc.cluster.local:8000', issuerPort = 9) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  folders.push(folder);
  const file = join(folder, 'sallyport.yaml');
  const stateDir = join(folder, 's');
  mkdirSync(stateDir, { mode: 0o700 });
  const provider = `{name: demo, issuer: http://127.0.0.1:${issuerPort}, audience: sallyport, algorithms: [ES256]}`;
  writeFileSync(file, `stateDir: s\nidentity:\n  providers:\n    - ${provider}\nmodels: {file: models.yaml}\n${extra}`);
  writeFileSync(
    join(folder, 'models.yaml'),
    `models:\n  - {name: ${issuerPort === 9 ? 'llama' : 'demo'}, version: "1", upstream: "${upstream}", formats: [openai-chat], credential: {file: no-such-file}}\n`,
  );
  return { folder, file, stateDir };
}

/** Runs the CLI in this process and collects what it writes. */
export async function run(
  commands: readonly AddCommand[],
  args: readonly string[],
  options: { readonly columns?: number; readonly env?: NodeJS.ProcessEnv } = {},
) {
  let stdout = '';
  let stderr = '';
  const io = {
    stdout: { write: (text: string) => (stdout += text), columns: options.columns ?? 160 },
    stderr: { write: (text: string) => (stderr += text), columns: 100 },
    env: options.env ?? {},
    user: 'ann',
  };
  const code = await runCli(commands, args, io, '1.2.3');
  return { code, stdout, stderr };
}
