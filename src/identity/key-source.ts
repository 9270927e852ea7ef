/** Where the text of a provider's key set comes from: the network, or a file. */
import { readFile, stat } from 'node:fs/promises';
import type { ProviderConfig } from './config.ts';
import { askFor, discover, endpointIn } from './discovery.ts';
import { type Http, HttpProblem } from './http.ts';
import { hostsOf } from './provider-http.ts';

export interface KeySource {
  /** Milliseconds after which the set in hand is read again, in the background. */
  readonly refreshAfterMs: number;
  /** Milliseconds between two readings for the sake of an unknown key id. */
  readonly cooldownMs: number;
  /** Rejects with KeysUnavailable or HttpProblem, whose messages are ours. */
  read(): Promise<string>;
}

export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
  readonly code = 'keys_unavailable';
}

/** A file costs nothing to read, so it is read whenever it is used, at most once in this time. */
const fileEveryMs = 1000;
const maxBearerBytes = 16_384;

export function keySource(provider: ProviderConfig, http: Http): KeySource {
  const { file, refreshAfterSeconds, cooldownSeconds, maxBytes } = provider.keys;
  if (file !== undefined)
    return { refreshAfterMs: fileEveryMs, cooldownMs: fileEveryMs, read: () => readBounded(file, maxBytes) };
  return {
    refreshAfterMs: refreshAfterSeconds * 1000,
    cooldownMs: cooldownSeconds * 1000,
    read: () => fetchKeys(provider, http),
  };
}

async function fetchKeys(provider: ProviderConfig, http: Http): Promise<string> {
  const authorization = await bearerOf(provider);
  const url = provider.jwksUri ?? endpointIn(await discover(provider, http, authorization), 'jwks_uri');
  // The operator's token goes to hosts that the operator named, not to those that a document names.
  const headers = hostsOf(provider).includes(new URL(url).hostname) ? authorization : {};
  return askFor(http, url, provider.keys, headers);
}

/** Read afresh each time: Kubernetes renews projected tokens in place. */
async function bearerOf(provider: ProviderConfig): Promise<Record<string, string>> {
  const { bearerTokenFile } = provider.keys;
  if (bearerTokenFile === undefined) return {};
  let token: string;
  try {
    token = (await readFile(bearerTokenFile, 'utf8')).trim();
  } catch (error) {
    throw new KeysUnavailable(`keys.bearerTokenFile cannot be read (${codeOf(error)})`, { cause: error });
  }
  if (token.length > maxBearerBytes || !/^[\x21-\x7e]+$/.test(token))
    throw new KeysUnavailable('keys.bearerTokenFile does not hold one token');
  return { authorization: `Bearer ${token}` };
}

async function readBounded(file: string, maxBytes: number): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size <= maxBytes) return await readFile(file, 'utf8');
  } catch (error) {
    throw new KeysUnavailable(`keys.file cannot be read (${codeOf(error)})`, { cause: error });
  }
  throw new KeysUnavailable(`keys.file is longer than ${maxBytes} bytes`);
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? 'error');

/** What of a failed reading may be on the record. */
export const problemIn = (error: unknown): string =>
  error instanceof KeysUnavailable || error instanceof HttpProblem ? error.message : 'the provider cannot be reached';
