/**
 * JSON in RFC 8785 canonical form: keys sorted by UTF-16 units, no white space, ES number format. The leaf hash covers
 * these bytes, so the form is part of the on-disk format. Departures from the RFC, both so that no event is ever lost:
 * a lone surrogate is written as its \u escape, a number that is not finite as null. `undefined` members are left out.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return Number.isFinite(value) ? `${value}` : 'null';
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? canonicalArray(value) : canonicalObject(value as Record<string, unknown>);
    default:
      throw new TypeError(`a ${typeof value} has no JSON form`);
  }
}

function canonicalArray(values: readonly unknown[]): string {
  let out = '[';
  for (let i = 0; i < values.length; i++) out += (i === 0 ? '' : ',') + canonicalJson(values[i]);
  return `${out}]`;
}

function canonicalObject(object: Readonly<Record<string, unknown>>): string {
  let out = '{';
  for (const key of sortedKeys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    out += `${out.length > 1 ? ',' : ''}${quote(key)}:${canonicalJson(value)}`;
  }
  return `${out}}`;
}

/** Whoever writes an event in the order of its keys saves the sort. */
function sortedKeys(object: object): string[] {
  const keys = Object.keys(object);
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return keys.sort();
  return keys;
}

// Most strings need no escape: concatenating quotes is three times as fast as JSON.stringify.
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 section 7: these must be escaped
const needsEscape = /["\\\u0000-\u001f\ud800-\udfff]/;

function quote(text: string): string {
  return needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`;
}
