import pino from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * What a log line may carry besides its message. There is no field for a prompt, an answer, a token or a claim, and fields
 * that are not listed here are dropped at run time too.
 */
export interface LogFields {
  /** Part of the gateway that speaks, such as `journal`. */
  readonly part?: string;
  readonly session?: string;
  readonly requestId?: string;
  /** Row of the error table, or a stable code of an error of ours. */
  readonly code?: string;
  readonly status?: number;
  readonly verdict?: string;
  readonly model?: string;
  readonly cluster?: string;
  readonly revision?: string;
  readonly writer?: string;
  readonly address?: string;
  readonly path?: string;
  readonly signal?: string;
  readonly exitCode?: number;
  readonly count?: number;
  readonly bytes?: number;
  readonly durationMs?: number;
  /** A line that a program of ours (Envoy) wrote; cut to 500 characters. */
  readonly line?: string;
  readonly error?: unknown;
}

const maxLineLength = 500;

const allowed: Readonly<Record<keyof LogFields, true>> = {
  part: true,
  session: true,
  requestId: true,
  code: true,
  status: true,
  verdict: true,
  model: true,
  cluster: true,
  revision: true,
  writer: true,
  address: true,
  path: true,
  signal: true,
  exitCode: true,
  count: true,
  bytes: true,
  durationMs: true,
  line: true,
  error: true,
};

/** The gateway's log: JSON lines. The message is a constant sentence; what varies is a field. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry these fields. */
  with(fields: LogFields): Log;
}

/** Where lines go: a stream such as process.stderr, or a file that is created with mode 0600 and appended to. */
export type LogTarget = { readonly write: (line: string) => unknown } | { readonly file: string };

/** Makes the log. Lines are written synchronously: the last one before a crash is there. */
export function createLog(options: { readonly level: LogLevel; readonly target: LogTarget }): Log {
  const target =
    'file' in options.target
      ? pino.destination({ dest: options.target.file, sync: true, mkdir: true, mode: 0o600 })
      : { write: options.target.write.bind(options.target) };
  const logger = pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, target);
  return wrap(logger);
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(safe(fields), message),
    info: (message, fields) => logger.info(safe(fields), message),
    warn: (message, fields) => logger.warn(safe(fields), message),
    error: (message, fields) => logger.error(safe(fields), message),
    with: (fields) => wrap(logger.child(safe(fields))),
  };
}

/** Keeps the listed fields, and of those only plain values: an object that got in by mistake would bring its content. */
function safe(fields: LogFields | undefined): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (!Object.hasOwn(allowed, name) || value === undefined) continue;
    if (name === 'error') kept['error'] = describeError(value);
    else if (name === 'line') kept['line'] = String(value).slice(0, maxLineLength);
    else if (typeof value !== 'object' && typeof value !== 'function') kept[name] = value;
  }
  return kept;
}

interface ErrorDescription {
  readonly name: string;
  readonly code?: string;
  readonly message?: string;
  readonly at?: readonly string[];
  readonly cause?: ErrorDescription;
}

/**
 * An error for the log. The message is kept only where the error has a stable code (ours and Node's do): those of parsers
 * quote their input (`Unexpected token 'M', "My card is 4…" is not valid JSON`).
 */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  return {
    name: error.name,
    ...(code === undefined ? {} : { code, message: error.message }),
    ...(frames.length === 0 ? {} : { at: frames.slice(0, 6).map((frame) => frame.trim()) }),
    ...(error.cause === undefined || depth === 3 ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
}
