/** The thread of `examiner.ts`. */
import { parentPort } from 'node:worker_threads';
import { examine, examineMetadata, type Job } from './examine.ts';

const port = parentPort;
if (port === null) throw new Error('this file is a thread of the gateway');

port.on('message', ({ id, job }: { readonly id: number; readonly job: Job }) => {
  const answer = job.kind === 'metadata' ? Promise.resolve(job).then(examineMetadata) : examine(job);
  answer.then(
    (value) => port.postMessage({ id, value }),
    // Nothing of the message may be in it.
    () => port.postMessage({ id, value: undefined }),
  );
});
