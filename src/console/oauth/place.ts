/** One request to an OAuth endpoint, as it goes on the record. */
import type { Context } from 'hono';
import type { Refused } from './answers.ts';
import type { Grant, KnownCaller, OauthSources, SamlEnd } from './sources.ts';

export interface Place {
  readonly session: string;
  readonly clientAddress: string;
  /** Set as soon as it is known. */
  grant: Grant;
}

/** The address that the connection comes from; what proxies say in headers is not believed. */
export function clientAddressOf(c: Context): string {
  const env = c.env as { readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } } } | undefined;
  return env?.incoming?.socket?.remoteAddress ?? '';
}

/** Not waited for; without a record the refusal stands all the same. */
export function recordRefused<C extends KnownCaller, P extends SamlEnd>(
  sources: OauthSources<C, P>,
  { session, clientAddress, grant }: Place,
  refused: Pick<Refused, 'error' | 'description' | 'reason' | 'detail'>,
): void {
  const code = refused.reason === '' ? refused.error : refused.reason;
  const detail = refused.detail === '' ? refused.description : refused.detail;
  sources
    .record({ session, clientAddress, grant, action: 'refused', code, detail })
    .catch((error: unknown) => sources.failed(session, error));
}
