/** The gate's cluster, and the models'. */
import { finding, type Report } from './finding.ts';
import type { Place } from './place.ts';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** Envoy's default for each circuit breaker. */
const DEFAULT_LIMIT = 1024;
/** Fewer live streams than this are a limit that a busy gateway meets. */
const ENOUGH = 10_000;

function httpOptions(cluster: Place): Place {
  const [, options] = cluster
    .get('typed_extension_protocol_options')
    .entries()
    .find(([name]) => name === HTTP_OPTIONS) ?? [
    undefined,
    cluster.get('typed_extension_protocol_options', HTTP_OPTIONS),
  ];
  return options;
}

/** Which HTTP the cluster is spoken to in: `downstream` is the client's, `auto` by ALPN. */
function protocolOf(cluster: Place): { readonly http: 1 | 2 | 'downstream' | 'auto'; readonly at: Place } {
  const options = httpOptions(cluster);
  const explicit = options.get('explicit_http_config', 'http2_protocol_options');
  if (explicit.exists) return { http: 2, at: explicit };
  const downstream = options.get('use_downstream_protocol_config');
  if (downstream.exists) return { http: 'downstream', at: downstream };
  const auto = options.get('auto_config');
  if (auto.exists) return { http: 'auto', at: auto };
  const old = cluster.get('http2_protocol_options');
  return old.exists ? { http: 2, at: old } : { http: 1, at: options };
}

interface Limit {
  readonly at: Place;
  readonly value: number;
}

function limits(cluster: Place, names: readonly string[]): readonly Limit[] {
  const thresholds = cluster.get('circuit_breakers', 'thresholds');
  const normal = thresholds
    .items()
    .find((threshold) => !['HIGH', 1].includes(threshold.get('priority').value as never));
  return names.map((name) => {
    const at = (normal ?? cluster.get('circuit_breakers', 'thresholds', 0)).get(name);
    return { at, value: at.number ?? DEFAULT_LIMIT };
  });
}

export function checkGateCluster(cluster: Place, report: Report): void {
  const { http, at } = protocolOf(cluster);
  if (http !== 2)
    report(
      finding(at, {
        rule: 'gate.http2',
        severity: 'breaks',
        shouldBe: 'explicit_http_config: {http2_protocol_options: {…}}',
        why: 'gRPC is HTTP/2 only.',
      }),
    );
  else if (!at.get('connection_keepalive').exists)
    report(
      finding(at.get('connection_keepalive'), {
        rule: 'gate.keepalive',
        severity: 'advice',
        shouldBe: '{interval: 30s, timeout: 5s}',
        why: 'A connection that died without a word is noticed only by the requests that it loses.',
      }),
    );
  for (const { at: limit, value } of limits(cluster, ['max_requests', 'max_pending_requests']))
    if (value < ENOUGH)
      report(
        finding(limit, {
          rule: `gate.${String(limit.path.at(-1))}`,
          severity: 'breaks',
          shouldBe: `100000 (at least ${ENOUGH})`,
          why: `Each live stream takes one: the next request after ${value} is refused.`,
        }),
      );
  checkGateTransport(cluster, report);
}

/** Addresses that are on this machine, or a socket file. */
const LOCAL = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

function addresses(cluster: Place): readonly Place[] {
  return cluster
    .get('load_assignment', 'endpoints')
    .items()
    .flatMap((group) => group.get('lb_endpoints').items())
    .map((endpoint) => endpoint.get('endpoint', 'address'));
}

function checkGateTransport(cluster: Place, report: Report): void {
  const far = addresses(cluster).filter(
    (address) => !address.get('pipe').exists && !LOCAL.test(address.get('socket_address', 'address').text),
  );
  const hasDiscovery = cluster.get('eds_cluster_config').exists;
  if (far.length === 0 && !hasDiscovery) return;
  const socket = cluster.get('transport_socket');
  // A mesh chooses the transport by endpoint; its authentication policies say whether that is mTLS.
  if (cluster.get('transport_socket_matches').exists) return;
  if (socket.exists) checkGateTls(socket, report);
  else
    report(
      finding(socket, {
        rule: 'gate.plaintext',
        severity: 'opens',
        shouldBe: 'mTLS (UpstreamTlsContext with a client certificate)',
        why: 'Requests travel in the clear, and whoever answers in the gate’s place is obeyed.',
      }),
    );
}

function checkGateTls(socket: Place, report: Report): void {
  const context = socket.get('typed_config', 'common_tls_context');
  const validation = [
    context.get('validation_context'),
    context.get('combined_validation_context', 'default_validation_context'),
  ];
  const bySds = ['validation_context_sds_secret_config', 'combined_validation_context'].some(
    (key) => context.get(key).exists,
  );
  const trusts = validation.some((place) => place.get('trusted_ca').exists || place.get('system_root_certs').exists);
  if (!bySds && !trusts)
    report(
      finding(context.get('validation_context', 'trusted_ca'), {
        rule: 'gate.trusted_ca',
        severity: 'opens',
        shouldBe: 'the CA of the gate’s certificate',
        why: 'Whoever answers in the gate’s place is obeyed.',
      }),
    );
  const names = validation.some(
    (place) => place.get('match_typed_subject_alt_names').exists || place.get('match_subject_alt_names').exists,
  );
  if (!names && !bySds && !socket.get('typed_config', 'auto_sni_san_validation').isTrue)
    report(
      finding(context.get('validation_context', 'match_typed_subject_alt_names'), {
        rule: 'gate.subject_alt_names',
        severity: 'opens',
        shouldBe: 'the gate’s name',
        why: 'Any certificate of this CA answers in the gate’s place.',
      }),
    );
  if (!context.get('tls_certificates').exists && !context.get('tls_certificate_sds_secret_configs').exists)
    report(
      finding(context.get('tls_certificates'), {
        rule: 'gate.client_certificate',
        severity: 'breaks',
        shouldBe: 'a certificate whose name is in listen.tls.allowedClients',
        why: 'The gate lets in nobody without one.',
      }),
    );
}

export function checkModelCluster(cluster: Place, report: Report): void {
  const { http, at } = protocolOf(cluster);
  if (http !== 1)
    report(
      finding(
        at,
        {
          rule: 'model.http1',
          severity: 'breaks',
          shouldBe: 'HTTP/1.1 (no http2_protocol_options)',
          why: 'An answer over HTTP/2 may end with trailers while text is still held; the gate then ends it as failed.',
        },
        http === 2
          ? 'HTTP/2'
          : http === 'auto'
            ? 'auto_config (HTTP/2 where the model offers it)'
            : 'the client’s HTTP version',
      ),
    );
  for (const { at: limit, value } of limits(cluster, ['max_connections']))
    if (value < ENOUGH)
      report(
        finding(limit, {
          rule: `model.${String(limit.path.at(-1))}`,
          severity: 'advice',
          shouldBe: `100000 (at least ${ENOUGH})`,
          why: `In HTTP/1.1 each live answer takes one: the next request after ${value} waits.`,
        }),
      );
}
