import { type CommandParser, defineScript } from 'redis';

/** Names of the keys that hold everything, in the order in which the scripts take them. */
export type RedisKeys = readonly [documents: string, index: string, expiries: string, counter: string, schema: string];

/**
 * What a store of this prefix is made of. The braces are a hash tag: on a Redis Cluster all keys are in one slot, so that a
 * script may use them together (redis.io, "Redis cluster specification", hash tags).
 */
export const redisKeys = (prefix: string): RedisKeys => [
  `{${prefix}}documents`,
  `{${prefix}}index`,
  `{${prefix}}expiries`,
  `{${prefix}}version`,
  `{${prefix}}schema`,
];

/**
 * The layout: `documents` is a hash, key → `<version> <epoch ms or -> <value>`; `index` a sorted set of all keys with equal
 * scores (so ordered by their bytes); `expiries` one of the keys that expire, by epoch milliseconds; `version` the last
 * version given, `schema` the version of this layout. No key has a TTL: what has expired is gone by the clock of who asks, and `deleteExpired` frees it.
 *
 * A version is the server's time in microseconds, or one more than the last: still unlike any other after a failover that
 * lost the latest writes, the counter's among them. Lua numbers are doubles; until the year 2255 they hold it exactly.
 */
const common = `
local documents, index, expiries, counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function isLive(document, now)
  local expires = string.match(document, '^%d+ (%S+) ')
  return expires == '-' or tonumber(expires) > tonumber(now)
end
local function live(key, now)
  local document = redis.call('HGET', documents, key)
  return document and isLive(document, now) and document
end
local function put(key, value, expires)
  local time = redis.call('TIME')
  local version = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = tonumber(redis.call('GET', counter) or '0')
  if version <= last then version = last + 1 end
  version = string.format('%.0f', version)
  redis.call('SET', counter, version)
  redis.call('HSET', documents, key, version .. ' ' .. expires .. ' ' .. value)
  redis.call('ZADD', index, 0, key)
  if expires == '-' then redis.call('ZREM', expiries, key) else redis.call('ZADD', expiries, expires, key) end
  return version
end
`;

const sources = {
  /** layout → the layout that is there, ours if there was none */
  claim: `
    local layout = redis.call('GET', KEYS[5])
    if not layout then redis.call('SET', KEYS[5], ARGV[1]) end
    return layout or ARGV[1]`,
  /** key, value, expires, now → 1 when it was put */
  putIfAbsent: `
    if live(ARGV[1], ARGV[4]) then return 0 end
    put(ARGV[1], ARGV[2], ARGV[3])
    return 1`,
  /** key, version, value, expires, now → [new version or false, the document as it is or false] */
  replace: `
    local document = live(ARGV[1], ARGV[5])
    if not document or string.match(document, '^%d+') ~= ARGV[2] then return {false, document} end
    return {put(ARGV[1], ARGV[3], ARGV[4]), false}`,
  /** key, version, now → 1 when it was removed */
  remove: `
    local document = live(ARGV[1], ARGV[3])
    if not document or string.match(document, '^%d+') ~= ARGV[2] then return 0 end
    redis.call('HDEL', documents, ARGV[1])
    redis.call('ZREM', index, ARGV[1])
    redis.call('ZREM', expiries, ARGV[1])
    return 1`,
  /** min, max, keys to look at, documents to give, bytes after which to stop, now → [last key looked at, or false at the end, [key, document, …]] */
  list: `
    local keys = redis.call('ZRANGEBYLEX', index, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
    local found, bytes = {}, 0
    for i, key in ipairs(keys) do
      local document = live(key, ARGV[6])
      if document then
        found[#found + 1] = key
        found[#found + 1] = document
        bytes = bytes + #document
      end
      if #found >= 2 * tonumber(ARGV[4]) or bytes >= tonumber(ARGV[5]) then return {key, found} end
    end
    return {#keys == tonumber(ARGV[3]) and keys[#keys], found}`,
  /**
   * limit, now → how many. Only what has expired by the server's clock as well: a gateway whose clock is ahead must not
   * take a replay list away from the others.
   */
  deleteExpired: `
    local time = redis.call('TIME')
    local now = math.min(tonumber(ARGV[2]), tonumber(time[1]) * 1000)
    local keys = redis.call('ZRANGEBYSCORE', expiries, '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])
    for _, key in ipairs(keys) do
      redis.call('HDEL', documents, key)
      redis.call('ZREM', index, key)
      redis.call('ZREM', expiries, key)
    end
    return #keys`,
} as const;

/** A script of ours: takes all keys and text arguments, answers as `read` makes it of the reply. */
const script = <T>(source: string, read: (reply: unknown) => T) =>
  defineScript({
    SCRIPT: common + source,
    NUMBER_OF_KEYS: 5,
    parseCommand(parser: CommandParser, keys: RedisKeys, ...args: readonly string[]) {
      parser.pushKeys([...keys]);
      parser.push(...args);
    },
    transformReply: read,
  });

/** Sent as EVALSHA, and whole (EVAL) to a server that does not have them, as after SCRIPT FLUSH or a restart. */
export const redisScripts = {
  claim: script(sources.claim, String),
  putIfAbsent: script(sources.putIfAbsent, (reply) => reply === 1),
  replace: script(sources.replace, replaced),
  remove: script(sources.remove, (reply) => reply === 1),
  list: script(sources.list, page),
  deleteExpired: script(sources.deleteExpired, Number),
};

interface Replaced {
  /** The version given; undefined: nothing was replaced. */
  readonly next: string | undefined;
  /** The document that is there instead, if any. */
  readonly current: string | undefined;
}

function replaced(reply: unknown): Replaced {
  const [next, current]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  return { next: text(next), current: text(current) };
}

interface Page {
  /** Key after which the next page begins; undefined: this was the last. */
  readonly last: string | undefined;
  readonly documents: readonly (readonly [key: string, document: string])[];
}

function page(reply: unknown): Page {
  const [last, found]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  const flat = Array.isArray(found) ? found.map(String) : [];
  const documents = Array.from(
    { length: flat.length / 2 },
    (_, i) => [flat[2 * i] ?? '', flat[2 * i + 1] ?? ''] as const,
  );
  return { last: text(last), documents };
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
