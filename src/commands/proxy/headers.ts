/** RFC 9110, section 7.6.1: what is for one connection only is not sent on. */

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The headers that go on, in order and with repeats, as name and value in turn.
 * @param raw as node:http and undici give them: name, value, name, value
 * @param dropped further names, lower case
 */
export function endToEnd(raw: readonly string[], dropped: readonly string[] = []): string[] {
  const named = new Set(dropped);
  for (const [name, value] of pairs(raw))
    if (name.toLowerCase() === 'connection')
      for (const listed of value.split(',')) named.add(listed.trim().toLowerCase());
  return pairs(raw)
    .filter(([name]) => !hopByHop.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .flat();
}

const pairs = (raw: readonly string[]): [string, string][] =>
  Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at] ?? '', raw[2 * at + 1] ?? '']);
