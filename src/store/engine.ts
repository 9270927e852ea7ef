/**
 * The engine's process as seen from the gateway: forked, watched, started again when it dies, with growing pauses.
 * Requests in flight when it dies are rejected (an insert as `engine_died`: the shipper sends it again); while it is
 * down everything is `store_unavailable` at once, nothing waits.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { EngineCall, EngineReply } from './engine-protocol.ts';
import { StoreError } from './port.ts';

export interface EngineOptions {
  readonly dataDir: string;
  /** Its working folder: row files are named in it, so that no path of ours is read as a pattern. */
  readonly workDir: string;
  readonly configFile: string;
  readonly queryTimeoutMs: number;
  /** Pauses before a restart, in milliseconds: the first, doubled up to the longest. */
  readonly restartMinMs?: number;
  readonly restartMaxMs?: number;
  /** The engine's process ended, or did not start; it is tried again in `restartMs`. */
  readonly onDown?: (error: StoreError, restartMs: number) => void;
  readonly onUp?: (version: string) => void;
  /** A line that the engine wrote to its standard error. */
  readonly onLine?: (line: string) => void;
}

interface Waiting {
  readonly op: EngineCall['op'];
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** The engine refused: ClickHouse's code and, for queries, its text. */
export class EngineRefusal extends Error {
  readonly clickhouseCode: number;
  readonly label: string;

  constructor(clickhouseCode: number, label: string, message: string) {
    super(message);
    this.name = 'EngineRefusal';
    this.clickhouseCode = clickhouseCode;
    this.label = label;
  }
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | undefined;
  #ready = false;
  #version = '';
  #nextId = 1;
  #restartMs: number;
  #upSince = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: EngineOptions) {
    this.#options = options;
    this.#restartMs = options.restartMinMs ?? 250;
  }

  /** Starts the process and waits until the engine is up. Throws StoreError; a missing package is `engine_missing`. */
  static async open(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    try {
      await engine.#start();
    } catch (error) {
      engine.#closed = true;
      clearTimeout(engine.#restartTimer);
      engine.#child?.kill('SIGKILL');
      throw error;
    }
    return engine;
  }

  /** Version of the engine while it is up. */
  get version(): string | undefined {
    return this.#ready ? this.#version : undefined;
  }

  /** Process id while it runs; for tests that kill it, and for measuring. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Rejects with StoreError when the engine is not there, with EngineRefusal when it refuses. */
  async call(call: EngineCall, timeoutMs: number): Promise<Uint8Array> {
    if (!this.#ready)
      throw new StoreError('store_unavailable', 'the embedded engine is not running; it is being started again');
    return this.#send(call, timeoutMs);
  }

  /** Lets the engine finish what it does, and ends its process. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    if (this.#ready) await this.#send({ op: 'close' }, closeTimeoutMs).catch(() => {});
    else child.kill('SIGKILL');
    const timer = setTimeout(() => child.kill('SIGKILL'), closeTimeoutMs);
    await gone;
    clearTimeout(timer);
  }

  async #start(): Promise<void> {
    const { dataDir, configFile, queryTimeoutMs } = this.#options;
    const child = fork(script, {
      serialization: 'advanced',
      execArgv: [],
      cwd: this.#options.workDir,
      env: { TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    if (child.pid !== undefined) yieldToTheGates(child.pid);
    child.on('message', (reply: EngineReply) => this.#answered(reply));
    child.once('exit', (code, signal) => this.#exited(child, signal ?? `code ${code}`));
    child.once('error', (error) => this.#exited(child, error.message));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) if (line.trim() !== '') this.#options.onLine?.(line);
    });
    const version = await this.#send({ op: 'open', dataDir, configFile, queryTimeoutMs }, startTimeoutMs).catch(
      (error: unknown) => {
        if (error instanceof EngineRefusal)
          throw new StoreError('store_unavailable', `the embedded engine does not open ${dataDir}: ${error.message}`);
        throw error;
      },
    );
    this.#version = Buffer.from(version).toString().trim();
    this.#ready = true;
    this.#upSince = performance.now();
    this.#options.onUp?.(this.#version);
  }

  #send(call: EngineCall, timeoutMs: number): Promise<Uint8Array> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#waiting.set(id, { op: call.op, resolve, reject });
    // An engine that does not answer is as good as dead: only a new process helps.
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), timeoutMs).unref();
    this.#child?.send({ ...call, id }, (error) => {
      if (error !== null)
        this.#take(id)?.reject(
          new StoreError('store_unavailable', 'the embedded engine does not take requests', error),
        );
    });
    return promise.finally(() => clearTimeout(timer));
  }

  #answered(reply: EngineReply): void {
    const waiting = this.#take(reply.id);
    if (waiting === undefined) return;
    if (reply.ok) waiting.resolve(reply.data);
    else if (reply.missing) waiting.reject(new StoreError('engine_missing', missingText, new Error(reply.message)));
    else waiting.reject(new EngineRefusal(reply.clickhouseCode, reply.name, reply.message));
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #exited(child: ChildProcess, how: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    // An engine that dies again and again is started ever more slowly, however short it was up each time.
    if (this.#ready && performance.now() - this.#upSince > steadyMs)
      this.#restartMs = this.#options.restartMinMs ?? 250;
    this.#ready = false;
    const error = new StoreError('store_unavailable', `the embedded engine's process ended (${how})`);
    for (const { op, reject } of this.#waiting.values())
      reject(op === 'insert' ? new StoreError('engine_died', error.message) : error);
    this.#waiting.clear();
    if (this.#closed) return;
    const restartMs = this.#restartMs;
    this.#restartMs = Math.min(this.#options.restartMaxMs ?? 30_000, restartMs * 2);
    this.#options.onDown?.(error, restartMs);
    this.#restartTimer = setTimeout(() => {
      // A start that fails ends the process, and its exit comes here again.
      this.#start().catch(() => this.#child?.kill('SIGKILL'));
    }, restartMs).unref();
  }
}

const steadyMs = 60_000;
const startTimeoutMs = 60_000;
const closeTimeoutMs = 15_000;
const missingText =
  'the embedded engine needs the npm package chdb (optional; Linux with glibc, or macOS): install it, or set store.engine to clickhouse';
/** Beside this file, with its extension: `.ts` in the source tree, `.js` when built. */
const script = fileURLToPath(
  new URL(`./engine-process${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url),
);

/** Where the cores are short, answers go before shipping: the journal holds what the store has not taken yet. */
function yieldToTheGates(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // A platform that does not let us: the engine keeps its priority.
  }
}
