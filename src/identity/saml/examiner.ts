/**
 * The thread that reads XML: the libraries are synchronous and slow, anybody may send a message, and the gate must not wait
 * for one. Started when it is first needed, ended and started again when a message takes too long or kills it.
 */
import { Worker } from 'node:worker_threads';
import { refuse } from '../caller.ts';
import type { Examined, Job, MessageJob, MetadataJob, MetadataRead } from './examine.ts';
import type { Answer, Call } from './worker.ts';

export interface Examiner {
  /** Reads a message; refuses it when too many wait, or it cannot be read in time. Never rejects. */
  examine(job: MessageJob): Promise<Examined>;
  readMetadata(job: MetadataJob): Promise<MetadataRead>;
  /** Ends the thread; what waits is refused. */
  close(): Promise<void>;
}

export interface ExaminerOptions {
  /** Milliseconds for one message, once it is its turn. Default 5000. */
  readonly timeoutMs?: number;
  /** Messages that may wait, each 20 to 50 ms of work as IdPs write them. Default 100; more are refused at once. */
  readonly maxWaiting?: number;
}

interface Waiting {
  readonly job: Job;
  readonly done: (value: unknown) => void;
}

const script = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

export function createExaminer({ timeoutMs = 5000, maxWaiting = 100 }: ExaminerOptions = {}): Examiner {
  const waiting: Waiting[] = [];
  let current: Waiting | undefined;
  let worker: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let id = 0;

  const start = (): Worker => {
    const started = new Worker(script, {
      resourceLimits: { maxOldGenerationSizeMb: 256 },
      env: {},
      execArgv: [],
    });
    started.unref();
    started.on('message', (answer: Answer) => {
      if (answer.id === id && started === worker) finish(answer.value);
    });
    started.on('error', () => lose(started));
    started.on('exit', () => lose(started));
    return started;
  };
  const finish = (value: unknown): void => {
    clearTimeout(timer);
    const { done } = current ?? {};
    current = undefined;
    worker?.unref();
    done?.(value);
    next();
  };
  /** The thread is gone, and what it was reading has no answer. */
  const lose = (lost: Worker): void => {
    if (lost !== worker) return;
    worker = undefined;
    finish(undefined);
  };
  const next = (): void => {
    if (current !== undefined || closed) return;
    current = waiting.shift();
    if (current === undefined) return;
    worker ??= start();
    // While somebody waits for it, it keeps the process.
    worker.ref();
    id += 1;
    worker.postMessage({ id, job: current.job } satisfies Call);
    timer = setTimeout(() => {
      const slow = worker;
      if (slow === undefined) return;
      lose(slow);
      void slow.terminate();
    }, timeoutMs);
  };
  const ask = (job: Job): Promise<unknown> =>
    new Promise((done) => {
      if (closed || waiting.length >= maxWaiting) return done('busy');
      waiting.push({ job, done });
      next();
    });

  return {
    async examine(job) {
      const value = await ask(job);
      if (value === 'busy') return refuse('state_unavailable', 'too many messages of SAML at once');
      return (value as Examined | undefined) ?? refuse('token_invalid', 'the message could not be examined');
    },
    async readMetadata(job) {
      const value = await ask(job);
      if (value === 'busy') return { ok: false, detail: 'too many messages of SAML at once' };
      return (value as MetadataRead | undefined) ?? { ok: false, detail: 'the metadata could not be examined' };
    },
    async close() {
      closed = true;
      const ended = worker;
      worker = undefined;
      clearTimeout(timer);
      for (const { done } of [...(current === undefined ? [] : [current]), ...waiting.splice(0)]) done('busy');
      current = undefined;
      await ended?.terminate();
    },
  };
}
