/**
 * JSON in RFC 8785 canonical form: keys sorted by UTF-16 units, no white space, ES number format. The leaf hash covers
 * these bytes, so the form is part of the on-disk format. Departures from the RFC, both so that no event is ever lost:
 * a lone surrogate is written as its \u escape, a number that is not finite as null. `undefined` members are left out.
 */
export function canonicalJson(value: unknown): string {
  return isInOrder(value) ? JSON.stringify(value) : write(value);
}

/**
 * Whether JSON.stringify writes this form: it does but for the order of keys. Whoever makes an event in the order of its
 * keys saves three quarters of the time, and what many small strings leave for the garbage collector.
 */
function isInOrder(value: unknown): boolean {
  if (typeof value !== 'object')
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  if (value === null) return true;
  if (Array.isArray(value)) return value.every(isInOrder);
  let before = '';
  for (const key in value) {
    const member = (value as Readonly<Record<string, unknown>>)[key];
    if (key < before || (member !== undefined && !isInOrder(member))) return false;
    before = key;
  }
  return true;
}

function write(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
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
  return `[${values.map(write).join()}]`;
}

function canonicalObject(object: Readonly<Record<string, unknown>>): string {
  const members: string[] = [];
  for (const key of Object.keys(object).sort()) {
    const value = object[key];
    if (value !== undefined) members.push(`${JSON.stringify(key)}:${write(value)}`);
  }
  return `{${members.join()}}`;
}
