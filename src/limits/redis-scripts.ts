/** The two scripts of the shared counters. All keys carry one hash tag, so that a Redis Cluster has them in one slot. */
import { createHash } from 'node:crypto';
import { ErrorReply } from 'redis';
import type { RedisClient } from '../state/redis-connection.ts';

export interface Script {
  readonly source: string;
  readonly sha1: string;
}

const script = (source: string): Script => ({ source, sha1: createHash('sha1').update(source).digest('hex') });

/**
 * KEYS: counters, then the session. ARGV: seconds that the session is kept; then of each counter amount, seconds that it is
 * kept, limit, group. Answers what each counter said before. `full['0']`: an enforced charge does not fit, nothing is taken.
 */
export const takeScript: Script = script(`
local n = #KEYS - 1
local used, full = {}, {}
for i = 1, n do
  used[i] = tonumber(redis.call('GET', KEYS[i]) or '0')
  if used[i] + tonumber(ARGV[4 * i - 2]) > tonumber(ARGV[4 * i]) then full[ARGV[4 * i + 1]] = true end
end
if full['0'] then return used end
redis.call('SET', KEYS[n + 1], '1', 'EX', ARGV[1])
for i = 1, n do
  if not full[ARGV[4 * i + 1]] then
    redis.call('SET', KEYS[i], '0', 'EX', ARGV[4 * i - 1], 'NX')
    redis.call('INCRBY', KEYS[i], ARGV[4 * i - 2])
  end
end
return used`);

/** KEYS: counters, then the session. ARGV: what to add to each. Answers what each says now; -1: it is gone, or the session is over. */
export const correctScript: Script = script(`
local n = #KEYS - 1
local open = redis.call('DEL', KEYS[n + 1]) == 1
local said = {}
for i = 1, n do
  local used = open and redis.call('GET', KEYS[i])
  said[i] = -1
  if used then said[i] = redis.call('INCRBY', KEYS[i], string.format('%.0f', math.max(tonumber(ARGV[i]), -tonumber(used)))) end
end
said[n + 1] = open and 1 or 0
return said`);

/** Sends a script by its digest, and whole to a server that does not have it, as after SCRIPT FLUSH or a restart. */
export async function runScript(
  client: RedisClient,
  { source, sha1 }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<readonly number[]> {
  const call = { keys: [...keys], arguments: [...args] };
  try {
    return numbers(await client.evalSha(sha1, call));
  } catch (error) {
    if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT')) throw error;
    return numbers(await client.eval(source, call));
  }
}

const numbers = (reply: unknown): readonly number[] => (Array.isArray(reply) ? reply.map(Number) : []);
