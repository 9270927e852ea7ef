/** Requests that are no call of a model API, whatever their path. */

export interface Transported {
  readonly method: string;
  readonly host: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface TransportRefusal {
  readonly code: 'upgrade_refused' | 'invalid_request' | 'path_not_admitted';
  readonly detail: string;
  /** For the caller; without it the error table's own words. */
  readonly message?: string;
}

/**
 * Why a request is refused before anything else; undefined for an ordinary one. Two Host headers arrive as one with a
 * comma: RFC 9112 section 3.2 has them refused with 400, and no two readers of them could be trusted to agree.
 */
export function refuseTransport(request: Transported): TransportRefusal | undefined {
  const upgrade = upgradeOf(request);
  if (upgrade !== undefined) return { code: 'upgrade_refused', detail: upgrade };
  if (request.method === 'OPTIONS') return { code: 'path_not_admitted', detail: 'OPTIONS' };
  if (HOST.test(request.host)) return undefined;
  return { code: 'invalid_request', detail: 'Host', message: 'The Host header is missing, doubled or malformed.' };
}

/** RFC 3986 section 3.2.2, as far as a model's host needs it; with a port or without. */
const HOST = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** Envoy skips body buffering and body filters for upgrades and CONNECT, so nothing of them would be read. */
export function upgradeOf({ method, headers }: Pick<Transported, 'method' | 'headers'>): string | undefined {
  if (method === 'CONNECT') return 'CONNECT';
  for (const [name, value] of headers) {
    if (name === 'upgrade') return `Upgrade: ${value.slice(0, 40)}`;
    if (name === ':protocol') return `:protocol ${value.slice(0, 40)}`;
    if (name === 'content-type' && value.toLowerCase().startsWith('application/grpc')) return 'gRPC';
  }
  return undefined;
}
