import { ErrorReply } from 'redis';
import { StateUnavailable } from './store.ts';

/** The server answers, but must not be used as it is. The message is for the operator and holds nothing secret. */
export class RedisUnfit extends Error {}

/** The server took longer than it may. */
export class NoAnswer extends Error {}

/** The server, its certificate or our own files say no: trying again soon does not help. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof RedisUnfit ||
  error instanceof StateUnavailable ||
  refusals.some(([pattern]) => pattern.test(replyOf(error))) ||
  isAboutTls(codeOf(error));

const isAboutTls = (code: string): boolean => /^(CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code);

/** What the server says to us, as told to the operator. Never its own words: they may quote what we sent. */
const refusals: readonly (readonly [RegExp, string])[] = [
  [/^WRONGPASS/, 'it refuses the user or the password (WRONGPASS)'],
  [/^NOAUTH/, 'it asks for a password (NOAUTH)'],
  [/^ERR .*without any password configured/, 'it asks for no password, but one is configured'],
  [/^NOPERM|^ERR The user executing the script can't/, 'the user lacks a permission (NOPERM)'],
  [/^ERR .*DB index/, 'it does not have this database'],
  [/^ERR .*unknown command/i, 'it lacks a command that is needed'],
  [/^MOVED/, 'it is a node of a Redis Cluster that does not have our keys (MOVED)'],
];

/**
 * What the server answered, if that is the error. Redis 6 wraps what fails in a script:
 * `ERR Error running script (…): @user_script:1: @user_script: 1: -OOM …`.
 */
function replyOf(error: unknown): string {
  if (!(error instanceof ErrorReply)) return '';
  const inner = /^ERR Error running script .*?@user_script: ?\d+: (?:@user_script: ?\d+: )?-?(.*)$/s.exec(
    error.message,
  )?.[1];
  if (inner === undefined) return error.message;
  return /^[A-Z]+ /.test(inner) ? inner : `ERR ${inner}`;
}

/** After these the connection is of no more use: no answer, a primary that became a replica, a slot that moved away, … */
export const endsSession = (error: unknown): error is Error =>
  error instanceof NoAnswer || /^(READONLY|NOAUTH|MOVED|MASTERDOWN|CLUSTERDOWN)\b/.test(replyOf(error));

/** What callers of the store get, with words for the operator. */
export function unavailable(error: unknown): StateUnavailable {
  if (error instanceof StateUnavailable) return error;
  // Nor as a cause: a log that prints causes would have them.
  return new StateUnavailable(`Redis: ${describe(error)}`, error instanceof ErrorReply ? {} : { cause: error });
}

function describe(error: unknown): string {
  if (error instanceof RedisUnfit || error instanceof NoAnswer) return error.message;
  const reply = replyOf(error);
  if (reply !== '') {
    const known = refusals.find(([pattern]) => pattern.test(reply));
    return known?.[1] ?? `it answers with an error (${/^[A-Z]+\b/.exec(reply)?.[0] ?? 'unknown'})`;
  }
  const code = codeOf(error);
  if (isAboutTls(code)) return `its TLS is not accepted (${code})`;
  return code === '' ? 'the connection was lost' : `out of reach (${code})`;
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');
