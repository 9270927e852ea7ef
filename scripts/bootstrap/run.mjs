import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Runs a tool to its end and collects what it said.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<{code: number, output: string, missing: boolean}>} `missing`: there is no such program
 */
export function capture(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk) => {
      output = (output + chunk).slice(-64 * 1024);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES')
        resolve({ code: 127, output: error.message, missing: true });
      else reject(error);
    });
    child.on('close', (code, signal) =>
      resolve({ code: code ?? 128 + constants.signals[signal], output, missing: false }),
    );
  });
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
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    const forward = (signal) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
    for (const signal of signals) process.on(signal, forward);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}
