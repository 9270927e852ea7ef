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
  /** Milliseconds for one message, once it is its turn. Default 2500: the longest that is taken needs some 200 where nothing else runs. */
  readonly timeoutMs?: number;
  /**
   * Messages of a kind that may wait, each 20 to 50 ms of work as IdPs write them. Default 100; more are refused at once. Answers to
   * sign-ins that began here do not wait behind assertions, which anybody may send, nor these behind them.
   */
  readonly maxWaiting?: number;
  /** Milliseconds. What has waited longer is refused: nobody waits for it any more. Default 10,000. */
  readonly maxWaitMs?: number;
}

/** Metadata is the operator's, and may have megabytes. */
const metadataTimeoutMs = 5000;
/** Until the thread has loaded its libraries. */
const startTimeoutMs = 10_000;

interface Waiting {
  readonly job: Job;
  readonly sinceMs: number;
  readonly done: (value: unknown) => void;
}

const script = new URL(`./worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

export function createExaminer({
  timeoutMs = 2500,
  maxWaiting = 100,
  maxWaitMs = 10_000,
}: ExaminerOptions = {}): Examiner {
  /** One after the other has its turn. */
  const queues: Record<Job['kind'], Waiting[]> = { metadata: [], response: [], assertion: [] };
  const turns: Job['kind'][] = ['metadata', 'response', 'assertion'];
  let current: Waiting | undefined;
  let worker: Worker | undefined;
  let isReady = false;
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
    started.on('message', (answer: Answer | 'ready') => {
      if (started !== worker) return;
      if (answer === 'ready') {
        isReady = true;
        if (current !== undefined) limit(current.job);
      } else if (answer.id === id) finish(answer.value);
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
    isReady = false;
    finish(undefined);
  };
  const limit = ({ kind }: Job): void => {
    clearTimeout(timer);
    const ms = kind === 'metadata' ? metadataTimeoutMs : timeoutMs;
    timer = setTimeout(
      () => {
        const slow = worker;
        if (slow === undefined) return;
        lose(slow);
        void slow.terminate();
      },
      isReady ? ms : startTimeoutMs,
    );
  };
  const take = (): Waiting | undefined => {
    for (const kind of [...turns]) {
      turns.push(...turns.splice(turns.indexOf(kind), 1));
      for (let found = queues[kind].shift(); found !== undefined; found = queues[kind].shift()) {
        if (performance.now() - found.sinceMs <= maxWaitMs) return found;
        found.done('busy');
      }
    }
    return undefined;
  };
  const next = (): void => {
    if (current !== undefined || closed) return;
    current = take();
    if (current === undefined) return;
    worker ??= start();
    // While somebody waits for it, it keeps the process.
    worker.ref();
    id += 1;
    worker.postMessage({ id, job: current.job } satisfies Call);
    limit(current.job);
  };
  const ask = (job: Job): Promise<unknown> =>
    new Promise((done) => {
      const queue = queues[job.kind];
      if (closed || queue.length >= maxWaiting) return done('busy');
      queue.push({ job, done, sinceMs: performance.now() });
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
      if (value === 'busy') return { ok: false, detail: 'too many messages of SAML at once', unexamined: true };
      return (
        (value as MetadataRead | undefined) ?? {
          ok: false,
          detail: 'the metadata could not be examined',
          unexamined: true,
        }
      );
    },
    async close() {
      closed = true;
      const ended = worker;
      worker = undefined;
      clearTimeout(timer);
      const waiting = Object.values(queues).flatMap((queue) => queue.splice(0));
      for (const { done } of [...(current === undefined ? [] : [current]), ...waiting]) done('busy');
      current = undefined;
      await ended?.terminate();
    },
  };
}
