import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Longest that a tool may take to end after a signal, milliseconds. */
const graceMs = 2_000;

/** Somebody stopped us (Ctrl-C, SIGTERM) while a tool ran; the tool has ended. */
export class Interrupted extends Error {
  /** @param {NodeJS.Signals} signal */
  constructor(signal) {
    super(`stopped by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/**
 * Runs a tool to its end and collects what it said. It gets a process group of its own: a signal to us goes to all that the
 * tool has started, and whatever of it is left after 2 s is killed. Only then does this reject, with Interrupted: until
 * then the tool may still write, and the setup's lock must be held.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<{code: number, output: string, missing: boolean}>} `missing`: there is no such program
 */
export function capture(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    // Before the tool: it may run, and a signal may come, before spawn() has returned.
    const interruption = forwardToGroup(() => child.pid);
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    const collect = (chunk) => {
      output = (output + chunk).slice(-64 * 1024);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error) => {
      interruption.over();
      if (error.code === 'ENOENT' || error.code === 'EACCES')
        resolve({ code: 127, output: error.message, missing: true });
      else reject(error);
    });
    child.on('close', (code, signal) => {
      const stoppedBy = interruption.over();
      if (stoppedBy !== undefined) reject(new Interrupted(stoppedBy));
      else resolve({ code: code ?? 128 + constants.signals[signal], output, missing: false });
    });
  });
}

/** Sends the signals that we get to the group of the tool, whose `pid` is known once it has been started. `over` ends that, and says which signal came first, if any. */
function forwardToGroup(pid) {
  let first;
  let killer;
  const forward = (signal) => {
    first ??= signal;
    signalGroup(pid(), signal);
    killer ??= setTimeout(() => signalGroup(pid(), 'SIGKILL'), graceMs);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  return {
    over: () => {
      for (const signal of signals) process.off(signal, forward);
      clearTimeout(killer);
      // What has closed its output and stayed behind.
      if (first !== undefined) signalGroup(pid(), 'SIGKILL');
      return first;
    },
  };
}

function signalGroup(pid, signal) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Runs a program in the foreground with our terminal, and forwards the signals that we get. Ctrl-C reaches the child from
 * the terminal, from npm and from us; `up` counts those that come together as one.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>} its exit code, or 128 + the signal that ended it
 */
export function foreground(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const forward = (signal) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
    for (const signal of signals) process.on(signal, forward);
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}
