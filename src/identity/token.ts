import { type IdentityRefusal, refuse } from './caller.ts';

/** Longest credential that is looked at, in characters (a JWT is ASCII: bytes). */
export const maxTokenLength = 16_384;
const maxDepth = 32;

/** What is checked of a token. Without a header where Envoy has verified it and tells only its claims. */
export interface ReadToken {
  readonly header: Readonly<Record<string, unknown>> | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A JWT taken apart, nothing verified yet. */
export interface OpenedToken {
  readonly ok: true;
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * Takes a compact JWS (RFC 7515 §7.1) apart, strictly: three canonical base64url parts, UTF-8, JSON objects without
 * duplicate names (RFC 7515 §4: must be rejected or the last taken; two readers must not see two tokens).
 */
export function openToken(token: string): OpenedToken | IdentityRefusal {
  const parts = token.split('.');
  if (parts.length === 5) return refuse('token_malformed', 'the token is encrypted (JWE)');
  const [header, claims, signature] = parts;
  if (parts.length !== 3 || header === undefined || claims === undefined || signature === undefined)
    return refuse('token_malformed', 'not three parts');
  if (signature === '') return refuse('token_malformed', 'the signature is empty');
  if (decodePart(signature) === undefined) return refuse('token_malformed', 'the signature is not base64url');
  const openedHeader = openObject('header', header);
  if (typeof openedHeader === 'string') return refuse('token_malformed', openedHeader);
  const openedClaims = openObject('claims', claims);
  if (typeof openedClaims === 'string') return refuse('token_malformed', openedClaims);
  return { ok: true, header: openedHeader, claims: openedClaims };
}

/** Bytes of a base64url part without padding, or undefined when it is not the one canonical form of them. */
function decodePart(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
}

/** The JSON object in a part, or what is wrong with it. */
function openObject(what: string, part: string): Record<string, unknown> | string {
  const bytes = decodePart(part);
  if (bytes === undefined || bytes.length === 0) return `the ${what} part is not base64url`;
  let json: string;
  let value: unknown;
  try {
    json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(json);
  } catch {
    return `the ${what} part is not JSON`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `the ${what} part is not a JSON object`;
  const problem = problemInNames(json);
  return problem === undefined ? (value as Record<string, unknown>) : `the ${what} part ${problem}`;
}

/** What is wrong with the names or the nesting of a JSON text that is known to parse. */
function problemInNames(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let at = 0;
  while (at < json.length) {
    const c = json[at];
    if (c === '{' || c === '[') {
      open.push(c === '{' ? new Set() : undefined);
      if (open.length > maxDepth) return `is nested deeper than ${maxDepth}`;
    } else if (c === '}' || c === ']') open.pop();
    else if (c === '"') {
      const end = endOfString(json, at);
      // In valid JSON only an object's name is followed by a colon.
      if (isFollowedByColon(json, end)) {
        const name: unknown = JSON.parse(json.slice(at, end));
        const names = open.at(-1);
        if (typeof name !== 'string' || names === undefined) return 'is not readable';
        if (names.has(name)) return 'has a name twice';
        if (name === '__proto__') return 'has a name that is not allowed';
        names.add(name);
      }
      at = end;
      continue;
    }
    at += 1;
  }
  return undefined;
}

function isFollowedByColon(json: string, at: number): boolean {
  while (json[at] === ' ' || json[at] === '\t' || json[at] === '\n' || json[at] === '\r') at += 1;
  return json[at] === ':';
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}
