/** The thread of `examiner.ts`. */
import { parentPort } from 'node:worker_threads';
import { type Examined, examine, examineMetadata, type Job, type MetadataRead } from './examine.ts';

export interface Call {
  readonly id: number;
  readonly job: Job;
}

export interface Answer {
  readonly id: number;
  /** undefined: it could not be examined. */
  readonly value: Examined | MetadataRead | undefined;
}

const port = parentPort;
if (port === null) throw new Error('this file is a thread of the gateway');

const answer = async (job: Job): Promise<Answer['value']> => {
  try {
    return job.kind === 'metadata' ? examineMetadata(job) : await examine(job);
  } catch {
    // Nothing of the message may be in what leaves the thread.
    return undefined;
  }
};

port.on('message', async ({ id, job }: Call) => {
  port.postMessage({ id, value: await answer(job) } satisfies Answer);
});
port.postMessage('ready');
