/** The thread of `origin.ts`: one look at a repository, then it ends. What a repository makes it do bothers no request. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Job, type Look, look } from './look.ts';

/** What the thread is given, and the one message that it sends. */
export type Task = Job;
export type Answer = Look;

const port = parentPort;
if (port === null) throw new Error('this file is a thread of the gateway');
port.postMessage((await look(workerData as Task)) satisfies Answer);
