/** Who may use the local proxy: programs of this user that have its key. Never a web page, whatever name it came by. */
import type { IncomingHttpHeaders } from 'node:http';
import { isKey } from './key.ts';

/** Headers in which SDKs send their key, and how. */
export const carriers = [
  { header: 'authorization', prefix: 'Bearer ' },
  { header: 'x-api-key', prefix: '' },
  { header: 'x-goog-api-key', prefix: '' },
] as const;

export type Carrier = (typeof carriers)[number];

export type Admission =
  | { readonly ok: true; readonly carrier: Carrier }
  | { readonly ok: false; readonly status: 400 | 401 | 403 | 421; readonly code: string; readonly message: string };

const refuse = (status: 400 | 401 | 403 | 421, code: string, message: string): Admission => ({
  ok: false,
  status,
  code,
  message,
});

/** @param port the proxy's own */
export function admit(
  request: { readonly url?: string | undefined; readonly headers: IncomingHttpHeaders },
  port: number,
  key: string,
): Admission {
  const { headers, url = '' } = request;
  // A page whose name was rebound to 127.0.0.1 sends its own name.
  if (![`127.0.0.1:${port}`, `localhost:${port}`].includes(headers.host ?? ''))
    return refuse(421, 'host_wrong', `This is 127.0.0.1:${port}; use that address.`);
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (site !== undefined && site !== 'none'))
    return refuse(403, 'browser_refused', 'Web pages may not use this proxy.');
  if (headers.upgrade !== undefined) return refuse(403, 'upgrade_refused', 'Connections are not upgraded here.');
  if (!url.startsWith('/') || url.startsWith('//'))
    return refuse(400, 'path_wrong', 'The request must name a path, not a whole URL.');
  return carrierOf(headers, url, key);
}

function carrierOf(headers: IncomingHttpHeaders, url: string, key: string): Admission {
  const found = carriers.filter(({ header }) => headers[header] !== undefined);
  const [carrier] = found;
  const inQuery = new URLSearchParams(url.split('?')[1] ?? '').has('key');
  if (inQuery) return refuse(401, 'credential_in_query', 'Send the key in a header, not in the address.');
  if (carrier === undefined)
    return refuse(401, 'key_missing', 'Send the key that `sallyport proxy` printed, as your API key.');
  // Some tools (Claude Code) send theirs in two headers. All are replaced by one token, so all must be the key.
  const isOurs = found.every(({ header, prefix }) => isKey(withoutPrefix(String(headers[header]), prefix), key));
  if (isOurs) return { ok: true, carrier };
  return refuse(401, 'key_wrong', 'That is not the key that `sallyport proxy` printed.');
}

const withoutPrefix = (value: string, prefix: string) =>
  value.toLowerCase().startsWith(prefix.toLowerCase()) ? value.slice(prefix.length) : '';
