/** Runs Envoy as a child: writes its config, waits until it is ready, stops it. Envoy dies with its parent. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { Json } from './bootstrap.ts';

export interface EnvoyOptions {
  readonly binary: string;
  /** Folder for envoy.yaml and the admin socket; 0700. */
  readonly dir: string;
  readonly config: Json;
  /** Worker threads; undefined: one a core. */
  readonly concurrency: number | undefined;
  /** Each line that Envoy logs (warnings and worse). */
  readonly onLine: (line: string) => void;
  /** Envoy ended although nobody stopped it. */
  readonly onExit: (why: string) => void;
}

export interface Envoy {
  readonly pid: number;
  /** One admin request, such as `GET /stats?filter=…`. */
  admin(method: 'GET' | 'POST', path: string): Promise<string>;
  /** Stops listening, lets what is open finish for `graceMs`, then ends it. */
  stop(graceMs: number): Promise<void>;
}

export type EnvoyFailure = Error & { readonly code: 'envoy_failed' };

function failure(message: string): EnvoyFailure {
  return Object.assign(new Error(message), { code: 'envoy_failed' as const });
}

/** Where a config written by `standaloneBootstrap` with `admin: {path}` puts its admin socket. */
export function adminSocket(dir: string): string {
  return join(dir, 'envoy-admin.sock');
}

export async function launchEnvoy(options: EnvoyOptions): Promise<Envoy> {
  const file = join(options.dir, 'envoy.yaml');
  writeFileSync(file, stringify(options.config), { mode: 0o600 });
  const args = ['-c', file, '--log-level', 'warning', '--disable-hot-restart', '--log-format', '%l %v'];
  if (options.concurrency !== undefined) args.push('--concurrency', String(options.concurrency));
  const child = spawn(options.binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const last: string[] = [];
  forwardLines(child, (line) => {
    last.push(line);
    if (last.length > 20) last.shift();
    options.onLine(line);
  });
  let stopping = false;
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  const socket = adminSocket(options.dir);
  const ready = await Promise.race([waitReady(socket).then(() => undefined), exited]);
  if (ready !== undefined) throw failure(`Envoy did not start (${ready}): ${last.join(' | ')}`);
  void exited.then((why) => {
    if (!stopping) options.onExit(why);
  });
  return {
    pid: child.pid ?? 0,
    admin: (method, path) => adminRequest(socket, method, path),
    stop: async (graceMs) => {
      stopping = true;
      await drain(socket, graceMs);
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(killer);
    },
  };
}

function forwardLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = '';
  child.stderr?.setEncoding('utf8');
  child.stderr?.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  });
}

const START_TIMEOUT_MS = 20_000;

async function waitReady(socket: string): Promise<void> {
  const until = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const answer = await adminRequest(socket, 'GET', '/ready').catch(() => '');
    if (answer.startsWith('LIVE')) return;
    if (Date.now() > until) throw failure(`Envoy was not ready within ${START_TIMEOUT_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Envoy stops accepting; waits until no request is active, at most `graceMs`. */
async function drain(socket: string, graceMs: number): Promise<void> {
  if (graceMs <= 0) return;
  await adminRequest(socket, 'POST', '/drain_listeners?graceful&skip_exit').catch(() => '');
  const until = Date.now() + graceMs;
  while (Date.now() < until) {
    const stats = await adminRequest(socket, 'GET', '/stats?filter=^http\\.sallyport\\.downstream_rq_active$').catch(
      () => '',
    );
    if (!/: [1-9]/.test(stats)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function adminRequest(socketPath: string, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method, path, timeout: 5_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    request.on('timeout', () => request.destroy(failure('Envoy admin did not answer')));
    request.on('error', reject);
    request.end();
  });
}

const run = promisify(execFile);

/** `envoy --mode validate`: whether Envoy itself accepts a config file. Returns its complaint, or undefined. */
export async function validateEnvoyConfig(binary: string, file: string): Promise<string | undefined> {
  try {
    await run(binary, ['--mode', 'validate', '-c', file, '--log-level', 'error'], { timeout: 60_000 });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return (stderr || message).trim();
  }
}

/** Envoy's version, such as `1.40.0`; undefined when the binary does not run or does not say. */
export async function envoyVersion(binary: string): Promise<string | undefined> {
  const { stdout } = await run(binary, ['--version'], { timeout: 20_000 }).catch(() => ({ stdout: '' }));
  return /\/(\d+\.\d+\.\d+)[^/]*\//.exec(stdout)?.[1];
}
