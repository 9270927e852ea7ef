/** OpenID Connect Discovery: where a provider's endpoints are. */
import { isSafeUrl } from './config/values.ts';
import type { ProviderConfig } from './config.ts';
import { type Http, HttpProblem } from './http.ts';

type Document = Readonly<Record<string, unknown>>;

/**
 * Asks the provider for its document (OpenID Connect Discovery §4). Rejects with HttpProblem. What it names is not known to
 * be safe: see `endpointIn`.
 */
export async function discover(
  provider: ProviderConfig,
  http: Http,
  headers: Record<string, string> = {},
): Promise<Document> {
  const { issuer, keys } = provider;
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = objectIn(await askFor(http, url, keys, headers), 'the discovery document');
  // §4.3: must be identical, or another issuer's keys would be taken for this one's.
  if (document['issuer'] !== issuer) throw new HttpProblem('the discovery document names another issuer');
  return document;
}

/** An endpoint that the document names, if it may be asked: https, or on this machine where the operator wrote it down. */
export function endpointIn(document: Document, name: string): string {
  const url = document[name];
  if (typeof url !== 'string' || !isSafeUrl(url))
    throw new HttpProblem(`the discovery document has no ${name} that may be fetched`);
  return url;
}

/** The text of a 200 answer; rejects with HttpProblem. */
export async function askFor(
  http: Http,
  url: string,
  bounds: Pick<ProviderConfig['keys'], 'timeoutMs' | 'maxBytes'>,
  headers: Record<string, string>,
): Promise<string> {
  const { status, text } = await http(url, { headers, timeoutMs: bounds.timeoutMs, maxBytes: bounds.maxBytes });
  if (status !== 200) throw new HttpProblem(`the provider answered ${status}`);
  return text;
}

/** Parses a JSON object; throws HttpProblem. */
export function objectIn(text: string, what: string): Document {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Document;
  } catch {
    // said below
  }
  throw new HttpProblem(`${what} is not a JSON object`);
}
