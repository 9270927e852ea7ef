/**
 * Policies that somebody pushes: kept in one file below the state folder, replaced in one step, so that a restart begins with
 * what was in force. Line by line, a file of the set a line: none of them is long to read or write.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { PolicyFile } from './document.ts';
import { limits, problemWithPath } from './snapshot.ts';
import type { Origin, Snapshot } from './source.ts';

const headSchema = z.strictObject({ version: z.literal(1), by: z.string(), files: z.int().min(0).max(limits.files) });
const fileSchema = z.strictObject({ path: z.string(), text: z.string() });

export interface PushOptions {
  /** Where the set is kept. */
  readonly file: string;
  /** What is in force until the first push. */
  readonly seed: Origin;
}

/** Policies from pushes. A stored set that cannot be read is an error, not a reason to begin with another one. */
export function pushOrigin({ file, seed }: PushOptions): Origin {
  /** What came from the seed is not stored: it may change until somebody pushes. */
  let seeded: Snapshot | undefined;
  let stored: Snapshot | undefined;
  return {
    kind: 'push',
    async read() {
      const found = await readStored(file);
      if (typeof found === 'string') return { ok: false, problems: [{ file, line: 1, column: 1, message: found }] };
      stored = found;
      if (found !== undefined) return { ok: true, snapshot: found };
      const read = await seed.read();
      if (read.ok === true) seeded = read.snapshot;
      return read;
    },
    changed: async () => false,
    taken: async (snapshot) => {
      if (snapshot === seeded) await rm(file, { force: true });
      else if (snapshot !== stored) await store(file, snapshot);
      stored = snapshot;
    },
  };
}

/** undefined: there is none yet. A string: why it cannot be read. */
async function readStored(file: string): Promise<Snapshot | string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : `the pushed policies cannot be read (${code})`;
  }
  try {
    const [first = '', ...lines] = text.split('\n').slice(0, -1);
    const head = headSchema.parse(JSON.parse(first));
    if (lines.length !== head.files) return `the pushed policies are not whole: ${lines.length} of ${head.files} files`;
    const files = lines.map((line) => fileSchema.parse(JSON.parse(line)));
    return { files, commit: undefined, by: head.by };
  } catch {
    return 'the pushed policies are damaged: push again over a gateway with `source: dir`, or remove this file to begin with the folder';
  }
}

/** Durable once it resolves: written beside, synced, renamed over. */
async function store(file: string, { files, by }: Snapshot): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const beside = `${file}.new`;
  const out = await open(beside, 'w', 0o600);
  try {
    await out.write(`${JSON.stringify({ version: 1, by, files: files.length })}\n`);
    for (const { path, text } of files) await out.write(`${JSON.stringify({ path, text })}\n`);
    await out.sync();
  } finally {
    await out.close();
  }
  await rename(beside, file);
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Reads what is pushed: a file a line, `{"path": …, "text": …}`. Feed it lines; it stops at the first that is wrong. */
export class PushedFiles {
  readonly files: PolicyFile[] = [];
  readonly #paths = new Set<string>();
  #bytes = 0;

  /** @returns why the line is not taken, or undefined */
  add(line: string): string | undefined {
    let parsed: z.output<typeof fileSchema>;
    try {
      parsed = fileSchema.parse(JSON.parse(line));
    } catch {
      return `line ${this.files.length + 1} is not {"path": …, "text": …}`;
    }
    const { path, text } = parsed;
    const shown = JSON.stringify(path.slice(0, 200));
    const wrong = problemWithPath(path);
    if (wrong !== undefined) return `${shown} ${wrong}`;
    if (this.#paths.has(path)) return `${shown} is there twice`;
    if (!text.isWellFormed()) return `${shown} has half a character`;
    const bytes = Buffer.byteLength(text);
    if (bytes > limits.fileBytes) return `${shown} has ${bytes} bytes; a policy file may have ${limits.fileBytes}`;
    this.#bytes += bytes;
    if (this.#bytes > limits.totalBytes) return `the files are longer than ${limits.totalBytes} bytes together`;
    if (this.files.length >= limits.files) return `there are more than ${limits.files} files`;
    this.#paths.add(path);
    this.files.push({ path, text });
    return undefined;
  }
}
