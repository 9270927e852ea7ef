import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { escapeControls } from './text.ts';

/** Exit codes, for scripts. */
export const exitCodes = {
  ok: 0,
  /** The answer is no (`envoy check` found something, `doctor` a fault), or the action failed. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** What the command talks to is not running. */
  unreachable: 3,
  /** There is no such session. */
  notFound: 4,
  /** Ctrl-C, as shells say it (128 + SIGINT). */
  interrupted: 130,
} as const;

/** A command failed in a way that its user can do something about. Printed as one sentence and what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  readonly remedy: string;
  constructor(exitCode: number, message: string, remedy: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}

interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** Width of the terminal in characters. */
  readonly columns?: number | undefined;
}

/** What a command sees of the world outside. */
export interface Io {
  /** Left out: nobody answers questions, and nothing can be piped in. */
  readonly stdin?: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: NodeJS.ProcessEnv;
  /** OS user, for the record. */
  readonly user: string;
}

/** One row of the table of commands: adds itself to the program. Its actions return an exit code. */
export type AddCommand = (program: Program) => void;

export interface Program {
  readonly io: Io;
  readonly command: Command;
  /** Makes an action of a function that returns an exit code. */
  action<A extends unknown[]>(run: (...args: A) => Promise<number> | number): (...args: A) => Promise<void>;
}

/**
 * Runs the CLI and returns the exit code. `argv` is without node and script. What is shown on stderr has its control
 * characters escaped: an error may quote what a stranger sent.
 */
export async function runCli(
  table: readonly AddCommand[],
  argv: readonly string[],
  io: Io,
  version: string,
): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const command = new Command('sallyport')
    .description('The enforcement point in front of self-hosted AI models.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(run with --help for usage and examples)')
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
    })
    .addHelpText('after', exitCodeHelp);
  const program: Program = {
    io,
    command,
    action:
      (run) =>
      async (...args) => {
        exitCode = await run(...args);
      },
  };
  for (const add of table) add(program);
  try {
    await command.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (!(error instanceof CliError)) throw error;
    io.stderr.write(`${escapeControls(error.message, { keepNewlines: true })}\n  → ${escapeControls(error.remedy)}\n`);
    return error.exitCode;
  }
}

const exitCodeHelp = `
Exit codes:
  0  done, or the answer is yes
  1  failed, or the answer is no
  2  the command line or the configuration is wrong
  3  what the command talks to is not running
  4  there is no such session
  130  stopped by Ctrl-C`;

/** Examples under a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;

/** A whole number within limits, as a commander argument parser. */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };

/** A duration such as `90s`, `15m` or `1h`, as a commander argument parser. Gives milliseconds. */
export const durationMs = (text: string): number => {
  const [, count = '', unit = ''] = /^(\d{1,6})(s|m|h)$/.exec(text) ?? [];
  if (count === '') throw new InvalidArgumentError('It must be a duration such as 90s, 15m or 1h.');
  return Number(count) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h'];
};

/** One of a fixed set, as a commander argument parser. */
export const oneOf =
  <T extends string>(...values: readonly T[]) =>
  (text: string): T => {
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`It must be one of ${values.join(', ')}.`);
  };

const ageUnitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An age such as `30m` or `7d`, as a commander argument parser. Gives milliseconds, never 0. */
export function ageMs(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (ageUnitsMs[unit] ?? 0);
  if (ms > 0) return ms;
  throw new InvalidArgumentError('It must be a whole number of s, m, h or d, such as 30m, 12h or 7d.');
}
