/** Finds the one credential of a request. Two that differ, a second copy, or one in the query string are refused. */

export type CredentialSearch =
  | { readonly ok: true; readonly token: string }
  | {
      readonly ok: false;
      readonly code: 'token_missing' | 'token_malformed' | 'credentials_conflict' | 'credential_in_query';
      readonly detail: string;
    };

export interface CredentialCarrier {
  /** Path with query, as sent. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Duplicates arrive joined by commas. */
  readonly joined: boolean;
}

/** Header → how it carries the token. `x-api-key`: Anthropic's SDK; `x-goog-api-key`: Gemini's. */
const CARRIERS = new Set(['authorization', 'x-api-key', 'x-goog-api-key']);

/** Query parameters that SDKs and people use for credentials; they end up in logs, so they are refused (RFC 6750 section 5.3). */
const QUERY_CREDENTIALS = new Set(['key', 'api_key', 'apikey', 'api-key', 'access_token', 'token', 'authorization']);

export function findCredential(request: CredentialCarrier): CredentialSearch {
  const inQuery = credentialInQuery(request.path);
  if (inQuery !== undefined) return refuse('credential_in_query', `query parameter ${inQuery}`);
  const seen = new Set<string>();
  let token: string | undefined;
  for (const [name, raw] of request.headers) {
    if (!CARRIERS.has(name)) continue;
    const value = raw.trim();
    if (value === '') continue;
    if (seen.has(name)) return refuse('credentials_conflict', `two ${name} headers`);
    seen.add(name);
    // Envoy joins Authorization headers even where it sends all others as they came.
    if ((request.joined || name === 'authorization') && value.includes(','))
      return refuse('credentials_conflict', `a comma in ${name}`);
    const found = name === 'authorization' ? bearer(value) : value;
    if (found === undefined || !/^[\x21-\x7e]+$/.test(found))
      return refuse('token_malformed', `${name} is not a bearer token`);
    if (token !== undefined && token !== found)
      return refuse('credentials_conflict', `${[...seen].join(' and ')} differ`);
    token = found;
  }
  return token === undefined ? refuse('token_missing', '') : { ok: true, token };
}

/** RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1). */
function bearer(value: string): string | undefined {
  return /^bearer +(\S+)$/i.exec(value)?.[1];
}

function credentialInQuery(path: string): string | undefined {
  const query = path.indexOf('?');
  if (query < 0) return undefined;
  for (const name of new URLSearchParams(path.slice(query + 1)).keys())
    if (QUERY_CREDENTIALS.has(name.toLowerCase())) return name.toLowerCase();
  return undefined;
}

function refuse(code: Extract<CredentialSearch, { ok: false }>['code'], detail: string): CredentialSearch {
  return { ok: false, code, detail };
}
