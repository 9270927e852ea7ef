/** Requests that are no call of a model API, whatever their path. */

export interface Transported {
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/**
 * Why a request is refused before anything else: Envoy skips body buffering and body filters for upgrades and CONNECT,
 * so nothing of them would be read. Returns undefined for an ordinary request.
 */
export function refuseTransport({ method, headers }: Transported): string | undefined {
  if (method === 'CONNECT') return 'CONNECT';
  for (const [name, value] of headers) {
    if (name === 'upgrade') return `Upgrade: ${value.slice(0, 40)}`;
    if (name === ':protocol') return `:protocol ${value.slice(0, 40)}`;
    if (name === 'content-type' && value.toLowerCase().startsWith('application/grpc')) return 'gRPC';
  }
  return undefined;
}
