/**
 * What Envoy Gateway makes of its policies, as far as the gates are concerned: its translator (internal/xds/translator
 * ext_auth.go, ext_proc.go, version 1.9) in short. So its policies are judged by the same rules as Envoy's own
 * configuration, and Envoy itself can validate them.
 */
import type { Key, Place } from './place.ts';

type Fields = Record<string, unknown>;

export interface Translated {
  readonly name: string;
  readonly config: Fields;
}

const ANY = 'type.googleapis.com/envoy.extensions.filters.http.';

const set = (value: Place, as: (value: Place) => unknown = (place) => place.value): unknown =>
  value.exists ? as(value) : undefined;

/** Without the fields that are undefined. */
function defined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function qualified(policy: Place): string {
  return `${policy.get('metadata', 'namespace').text || 'default'}/${policy.get('metadata', 'name').text}`;
}

function status(value: Place): unknown {
  return set(value, (code) => ({ code: code.number === 503 ? 'ServiceUnavailable' : code.value }));
}

/** ext_authz of a SecurityPolicy; undefined when it has no gRPC `extAuth`. */
export function authzOf(policy: Place): Translated | undefined {
  const auth = policy.get('spec', 'extAuth');
  if (!auth.exists) return undefined;
  const headers = auth.get('headersToExtAuth').items();
  const cluster = `securitypolicy/${qualified(policy)}/extauth/0`;
  return {
    name: `envoy.filters.http.ext_authz/securitypolicy/${qualified(policy)}`,
    config: defined({
      '@type': `${ANY}ext_authz.v3.ExtAuthz`,
      transport_api_version: 'V3',
      failure_mode_allow: set(auth.get('failOpen')),
      clear_route_cache: set(auth.get('recomputeRoute')),
      allowed_headers: headers.length === 0 ? undefined : { patterns: headers.map(({ text }) => ({ exact: text })) },
      with_request_body: set(auth.get('bodyToExtAuth'), (body) => ({
        max_request_bytes: body.get('maxRequestBytes').value,
      })),
      grpc_service: set(auth.get('grpc'), (grpc) =>
        defined({
          envoy_grpc: { cluster_name: cluster },
          timeout: `${auth.get('timeout').seconds ?? 10}s`,
          retry_policy: set(grpc.get('backendSettings', 'retry'), () => ({})),
        }),
      ),
      status_on_error: status(auth.get('statusOnError')),
    }),
  };
}

const BODY_MODES: Readonly<Record<string, string>> = {
  Streamed: 'STREAMED',
  Buffered: 'BUFFERED',
  BufferedPartial: 'BUFFERED_PARTIAL',
  FullDuplexStreamed: 'FULL_DUPLEX_STREAMED',
};

function processingMode(mode: Place): Fields {
  const of = (direction: 'request' | 'response'): Fields => {
    const body = BODY_MODES[mode.get(direction, 'body').text] ?? 'NONE';
    return {
      [`${direction}_header_mode`]: mode.get(direction).value === undefined ? 'SKIP' : 'SEND',
      [`${direction}_body_mode`]: body,
      [`${direction}_trailer_mode`]: body === 'FULL_DUPLEX_STREAMED' ? 'SEND' : 'SKIP',
    };
  };
  return { ...of('request'), ...of('response') };
}

/** ext_proc filters of an EnvoyExtensionPolicy, in its order. */
export function procsOf(policy: Place): readonly Translated[] {
  return policy
    .get('spec', 'extProc')
    .items()
    .map((proc, index) => {
      const name = `envoyextensionpolicy/${qualified(policy)}/extproc/${index}`;
      const namespaces = (key: string): unknown =>
        set(proc.get('metadata', key), (list) => ({ untyped: list.items().map(({ text }) => text) }));
      return {
        name: `envoy.filters.http.ext_proc/${name}`,
        config: defined({
          '@type': `${ANY}ext_proc.v3.ExternalProcessor`,
          grpc_service: defined({
            envoy_grpc: { cluster_name: name },
            timeout: '10s',
            retry_policy: set(proc.get('backendSettings', 'retry'), () => ({})),
          }),
          processing_mode: processingMode(proc.get('processingMode')),
          observability_mode: set(proc.get('shadowMode')),
          failure_mode_allow: set(proc.get('failOpen')),
          message_timeout: set(proc.get('messageTimeout'), (timeout) => `${timeout.seconds}s`),
          request_attributes: set(proc.get('processingMode', 'request', 'attributes')),
          response_attributes: set(proc.get('processingMode', 'response', 'attributes')),
          metadata_options: set(proc.get('metadata'), () =>
            defined({
              forwarding_namespaces: namespaces('accessibleNamespaces'),
              receiving_namespaces: namespaces('writableNamespaces'),
            }),
          ),
          allow_mode_override: set(proc.get('processingMode', 'allowModeOverride')),
          status_on_error: status(proc.get('statusOnError')),
        }),
      };
    });
}

/** A JSON patch of an EnvoyPatchPolicy that addresses HTTP filters by name: `..http_filters[?…].typed_config`. */
const BY_NAME =
  /^(?:\$|)\.\.http_filters\[\?\(?(?:match\(@\.name, ?'(?<pattern>[^']+)'\)|@\.name ?== ?'(?<name>[^']+)')\)?\]\.typed_config(?<rest>[\w.]*)$/;

/** The filter after the patches that address it. Other kinds of patches are not followed. */
export function patched(filter: Translated, patches: readonly Place[]): Translated {
  let config = filter.config;
  for (const patch of patches) {
    const operation = patch.get('operation');
    const match = BY_NAME.exec(operation.get('jsonPath').text)?.groups;
    if (match === undefined || !isNamed(filter.name, match)) continue;
    const keys = [...(match['rest'] ?? '').split('.'), ...operation.get('path').text.split('/')].filter(
      (key) => key !== '',
    );
    config = edited(config, keys, operation) as Fields;
  }
  return { ...filter, config };
}

function isNamed(name: string, match: Readonly<Record<string, string | undefined>>): boolean {
  if (match['name'] !== undefined) return match['name'] === name;
  try {
    return new RegExp(`^(?:${match['pattern']})$`, 'u').test(name);
  } catch {
    return false;
  }
}

function edited(value: unknown, keys: readonly Key[], operation: Place): unknown {
  const [key, ...rest] = keys;
  const isRemoval = operation.get('op').text === 'remove';
  if (key === undefined) return isRemoval ? undefined : operation.get('value').value;
  const fields = typeof value === 'object' && value !== null ? (value as Fields) : {};
  return defined({ ...fields, [key]: edited(fields[key], rest, operation) });
}
