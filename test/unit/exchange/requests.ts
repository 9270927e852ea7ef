/** Reads request bodies of any format in tests. */
import { readFileSync } from 'node:fs';
import type { RequestFacts } from '../../../src/exchange/facts.ts';
import { formatOfRequest, readRequest } from '../../../src/exchange/formats.ts';

export const fixture = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8'));

async function read(path: string, body: unknown) {
  const asked = formatOfRequest('POST', path);
  if (asked === undefined) throw new Error(`no format admits ${path}`);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readRequest(asked, { contentType: 'application/json', contentEncoding: undefined }, Buffer.from(text));
}

export async function factsOf(path: string, body: unknown): Promise<RequestFacts> {
  const reading = await read(path, body);
  if (!reading.ok) throw new Error(reading.message);
  return reading.value;
}

export async function refusalOf(path: string, body: unknown): Promise<string> {
  const reading = await read(path, body);
  return reading.ok ? 'accepted' : `${reading.code}: ${reading.message}`;
}

/** An error as a format words it, for a rule's denial. */
export const denied = {
  code: 'policy_denied',
  row: {
    status: 403,
    type: 'permission_error',
    sdk: 'PermissionDeniedError',
    retry: false,
    fixer: 'policy owner',
    meaning: '',
    fix: '',
  },
  message: 'No cards. (session s-1)',
  session: 's-1',
} as const;
