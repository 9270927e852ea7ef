/** The snippets of docs/identity.md, run as they stand there, with a `sallyport` on the PATH. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { blocks, root } from '../../unit/docs/markdown.ts';

/** Where the Python SDKs are; undefined: `npm test` says why there are none. */
export const pythonPath = process.env['SALLYPORT_TEST_PYTHONPATH'];

/** Makes a folder one in which snippets run: packages, and the real command line as `bin/sallyport`. */
export function furnish(folder: string): void {
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  mkdirSync(join(folder, 'bin'));
  const command = join(folder, 'bin', 'sallyport');
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'src', 'main.ts')}" "$@"\n`);
  chmodSync(command, 0o755);
}

/** The environment of a snippet in a furnished folder: sign-ins are kept there, too. */
export const snippetEnv = (folder: string, gateway: string) => ({
  PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
  XDG_CONFIG_HOME: folder,
  SALLYPORT_GATEWAY: gateway,
  HOME: folder,
  ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }),
});

/** The text of a snippet, whose first line is its name, with the address of the models in it. */
export function snippet(name: string, modelsUrl: string): string {
  const found = blocks('docs/identity.md').find(({ text }) => /^(?:\/\/|#) (\S+)\n/.exec(text)?.[1] === name);
  if (found === undefined) throw new Error(`docs/identity.md has no ${name}`);
  return found.text.replaceAll('https://models.example.com', modelsUrl);
}

export interface RunningSnippet {
  readonly child: ChildProcess;
  /** Makes a request; resolves with `ok`, or what was thrown. */
  ask(): Promise<string>;
}

/** Starts `text` with `driver` below it, which makes a request for each line it reads and prints how it went. */
export function startSnippet(
  folder: string,
  name: string,
  text: string,
  driver: string,
  env: NodeJS.ProcessEnv,
): RunningSnippet {
  const file = join(folder, name);
  writeFileSync(file, `${text}\n${driver}`);
  const program = name.endsWith('.py') ? 'python3' : process.execPath;
  const child = spawn(program, [file], { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async ask() {
      child.stdin.write('ask\n');
      return (await lines.next()).value ?? 'it ended';
    },
  };
}

/** Each line of input moves the clock of the snippet two minutes on. */
const tsDriver = (call: string) => `
const { createInterface } = await import('node:readline');
const realNow = Date.now;
let laterMs = 0;
Date.now = () => realNow() + laterMs;
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(await ${call}.then(() => 'ok', (error) => String(error)));
  laterMs += 120_000;
}
`;

const pythonDriver = (call: string) => `
import sys
real_time, later = time.time, 0
time.time = lambda: real_time() + later
for _ in sys.stdin:
    try:
        ${call}
        print("ok", flush=True)
    except Exception as error:
        print(repr(error), flush=True)
    later += 120
`;

/** What makes the requests of each SDK. */
export const drivers = {
  openaiTs: tsDriver("client.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: 'Hi' }] })"),
  anthropicTs: tsDriver(
    "client.messages.create({ model: 'demo', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] })",
  ),
  openaiPython: pythonDriver(
    'client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "Hi"}])',
  ),
  anthropicPython: pythonDriver(
    'client.messages.create(model="demo", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])',
  ),
} as const;
