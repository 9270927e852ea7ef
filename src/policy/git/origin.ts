/** Policies from a git repository, which the gateway asks itself; and what it keeps for a start without it. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Problem } from '../problem.ts';
import type { Origin, OriginRead, Snapshot } from '../source.ts';
import { GitProblem } from './problem.ts';
import type { Answer, Task } from './worker.ts';

export interface GitOptions {
  readonly url: string;
  readonly ref: string;
  readonly path: string;
  /** Longest time of one look, milliseconds. */
  readonly timeout: number;
  readonly maxBytes: number;
  readonly requireSigned: boolean;
  readonly allowedSigners?: string | undefined;
  readonly allowRewind: boolean;
  readonly credential?: { readonly username: string } | undefined;
  readonly caFile?: string | undefined;
  /** Folder below the state folder that is all this repository's. */
  readonly dir: string;
  /** Reads the password; undefined: none is needed. Rejects with what is missing. */
  readonly password: (() => Promise<string>) | undefined;
  readonly nowMs: () => number;
}

const keptSchema = z.strictObject({
  version: z.literal(1),
  url: z.string(),
  ref: z.string(),
  path: z.string(),
  tip: z.string(),
  commit: z.string(),
  copy: z.string().regex(/^[0-9a-f-]{36}$/),
});
type Kept = z.output<typeof keptSchema>;

/** Heap of a thread, MiB. Buffers do not count there: what is read is bounded where it is read (pack.ts, fetched.ts, stored.ts). */
const maxHeapMb = 512;
const script = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

export function gitOrigin(options: GitOptions): Origin {
  return new GitOrigin(options);
}

interface Found {
  readonly tip: string;
  readonly commit: string;
  readonly copy: string;
}

class GitOrigin implements Origin {
  readonly kind = 'git';
  readonly #options: GitOptions;
  /** What came of the last look that got as far as the commit; asked with the same signers, it comes again. */
  #last:
    | {
        readonly tip: string;
        readonly signers: string | undefined;
        readonly read: OriginRead;
        readonly copy: string;
      }
    | undefined;
  readonly #found = new WeakMap<Snapshot, Found>();
  #taken: Snapshot | undefined;
  /** What was in force last, in this run or an earlier one. */
  #kept: Kept | undefined;
  #isOpen = false;
  /** Ends the look under way, and all that would come. */
  readonly #abort = new AbortController();

  constructor(options: GitOptions) {
    this.#options = options;
  }

  changed = async (): Promise<boolean> => true;

  async read(): Promise<OriginRead> {
    try {
      await this.#open();
      const signers = await this.#signers();
      const known = this.#last?.signers === signers ? this.#last : undefined;
      const copy = randomUUID();
      const found = await this.#look({ kind: 'repository' }, { signers, knownTip: known?.tip, copy });
      if (found.kind === 'same') return this.#again();
      const read = this.#readOf(found, copy);
      const { tip } = found;
      if (tip !== undefined) this.#last = { tip, signers, read, copy };
      await this.#tidy();
      return read;
    } catch (error) {
      if (error instanceof GitProblem) return { ok: false, problems: [this.#problem(error.message)] };
      throw error;
    }
  }

  /** What was in force when the gateway ran last, verified again. */
  async fallback(): Promise<OriginRead> {
    const kept = this.#kept;
    if (kept === undefined) return { ok: false, problems: [] };
    try {
      const signers = await this.#signers();
      const from = { kind: 'kept', gitdir: join(this.#options.dir, kept.copy), tip: kept.tip } as const;
      const found = await this.#look(from, { signers, knownTip: undefined, copy: kept.copy });
      return found.kind === 'same' ? { ok: false, problems: [] } : this.#readOf(found, kept.copy);
    } catch (error) {
      if (error instanceof GitProblem) return { ok: false, problems: [this.#problem(error.message)] };
      throw error;
    }
  }

  close(): void {
    this.#abort.abort();
  }

  async taken(snapshot: Snapshot): Promise<void> {
    this.#taken = snapshot;
    const found = this.#found.get(snapshot);
    if (found === undefined || found.copy === this.#kept?.copy) return;
    const { url, ref, path, dir } = this.#options;
    const kept: Kept = { version: 1, url, ref, path, ...found };
    await writeDurably(join(dir, 'kept.json'), JSON.stringify(kept));
    this.#kept = kept;
    await this.#tidy();
  }

  #again(): OriginRead {
    const read = this.#last?.read;
    if (read === undefined || (read.ok === true && read.snapshot === this.#taken)) return { ok: 'same' };
    return read;
  }

  #readOf(found: Exclude<Answer, { kind: 'same' }>, copy: string): OriginRead {
    if (found.kind === 'failed') return { ok: false, problems: [this.#problem(found.message, found.file)] };
    const { commit, tip, files, by, notes } = found;
    const snapshot: Snapshot = { files, commit, by, notes };
    this.#found.set(snapshot, { tip, commit, copy });
    return { ok: true, snapshot };
  }

  #problem(message: string, file?: string): Problem {
    return { file: file ?? this.#options.url, line: 1, column: 1, message };
  }

  async #open(): Promise<void> {
    if (this.#isOpen) return;
    const { dir, url, ref, path } = this.#options;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const kept = await readKept(join(dir, 'kept.json'));
    // Of another repository or ref, what was in force says nothing.
    if (kept?.url === url && kept.ref === ref && kept.path === path) this.#kept = kept;
    await this.#tidy();
    this.#isOpen = true;
  }

  /** What looks that were cut off have left, and copies of what is not in force any more. What cannot be removed stays: a good set counts. */
  async #tidy(): Promise<void> {
    const { dir } = this.#options;
    const names = await readdir(dir).catch(() => []);
    for (const name of names)
      if (!['kept.json', this.#kept?.copy, this.#last?.copy].includes(name))
        await rm(join(dir, name), { recursive: true, force: true }).catch(() => undefined);
  }

  async #signers(): Promise<string | undefined> {
    const { requireSigned, allowedSigners } = this.#options;
    return requireSigned ? readText(allowedSigners ?? '', 'policies.git.allowedSigners') : undefined;
  }

  async #look(from: Task['from'], more: Pick<Task, 'signers' | 'knownTip' | 'copy'>): Promise<Answer> {
    const { url, ref, path, maxBytes, allowRewind, dir, credential, caFile, password, timeout, nowMs } = this.#options;
    const secret = await password?.().catch((error: unknown) => {
      throw new GitProblem(`policies.git.credential: ${error instanceof Error ? error.message : 'it cannot be read'}`);
    });
    const job: Task = {
      ...{ from, url, ref, path, maxBytes, allowRewind },
      ...more,
      inForce: this.#kept?.commit,
      credential: secret === undefined ? undefined : { username: credential?.username ?? 'git', password: secret },
      ca: caFile === undefined ? undefined : await readText(caFile, 'policies.git.caFile'),
      nowMs: nowMs(),
      copy: join(dir, more.copy),
    };
    return inThread(job, timeout, this.#abort.signal);
  }
}

/** A thread for one look: it is ended when its time is over, whatever it does. */
function inThread(job: Task, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const worker = new Worker(script, {
      workerData: job,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
      env: {},
      execArgv: [],
    });
    const done = (answer: Answer): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve(answer);
      void worker.terminate();
    };
    const fail = (message: string): void => done({ kind: 'failed', message, file: undefined, tip: undefined });
    const timer = setTimeout(
      () => fail(`the repository was not read within ${timeoutMs / 1000} s (policies.git.timeout)`),
      timeoutMs,
    );
    const stop = (): void => fail('the gateway stops');
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    worker.unref();
    worker.on('message', (answer: Answer) => done(answer));
    worker.on('error', (error: Error & { code?: string }) =>
      fail(
        error.code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? 'the repository takes more memory than one may'
          : `the repository cannot be read (${error.message})`,
      ),
    );
    worker.on('exit', () => fail('the repository cannot be read (its thread ended)'));
  });
}

async function readText(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new GitProblem(`${what}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** undefined: there is none, or it is none of ours. */
async function readKept(file: string): Promise<Kept | undefined> {
  try {
    return keptSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const out = await open(`${file}.new`, 'w', 0o600);
  try {
    await out.write(text);
    await out.sync();
  } finally {
    await out.close();
  }
  await rename(`${file}.new`, file);
}
