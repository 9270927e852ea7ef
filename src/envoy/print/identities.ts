/** What is needed beside the filters where Envoy verifies callers for the gate: mTLS peers, tokens (jwt_authn). */

import type { Json } from '../bootstrap.ts';
import { JWT_AUTHN } from '../wire.ts';
import { dnsLabel, resource, serviceOf } from './kubernetes.ts';
import type { PrintModel, PrintOptions } from './options.ts';
import type { CommentedDocument, Note } from './yaml.ts';

const NOBODY_ELSE = `Nothing in front of the gate but jwt_authn may write the metadata namespace envoy.filters.http.jwt_authn (header_to_metadata,
set_metadata, Lua, …), and no rule of jwt_authn may be extract_only_without_validation: each is a way to be anybody.`;

/** Standalone: what the filters before ours, and the listener, must have. `authz`: path of ext_authz's typed_config. */
export function standaloneIdentityNotes(
  { verifiedByEnvoy }: Pick<PrintOptions, 'verifiedByEnvoy'>,
  authz: readonly (string | number)[],
): Note[] {
  const notes: Note[] = [];
  if (verifiedByEnvoy?.peers)
    notes.push([
      [...authz, 'include_peer_certificate'],
      `identity.peers: the peer is the one URI of the certificate that Envoy verified. The listener needs a DownstreamTlsContext
whose validation_context has the peers’ CA as trusted_ca (never trust_chain_verification: ACCEPT_UNTRUSTED).`,
    ]);
  if (verifiedByEnvoy?.jwtAuthn)
    notes.push([
      [...authz, 'metadata_context_namespaces'],
      `identity.jwtAuthn: put envoy.filters.http.jwt_authn before this filter, each provider with payload_in_metadata.
${NOBODY_ELSE}`,
    ]);
  return notes;
}

/** Istio: objects beside the EnvoyFilters. `servers`: one model of each server. */
export function istioIdentities(options: PrintOptions, servers: readonly PrintModel[]): CommentedDocument[] {
  const { proxy, context } = options.mesh;
  const places =
    context === 'gateway'
      ? [{ name: 'sallyport', namespace: proxy.namespace, labels: proxy.labels }]
      : servers.map((model) => {
          const { service, namespace } = serviceOf(model.upstream);
          return { name: `sallyport-${dnsLabel(model.name)}`.slice(0, 63), namespace, labels: { app: service } };
        });
  return places.flatMap((place) => [
    ...(options.verifiedByEnvoy?.peers && context === 'sidecar' ? [strict(place)] : []),
    ...(options.verifiedByEnvoy?.jwtAuthn ? [requestAuthentication(options, place)] : []),
  ]);
}

interface Place {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

function strict({ name, namespace, labels }: Place): CommentedDocument {
  return resource(
    'security.istio.io/v1',
    'PeerAuthentication',
    { name, namespace },
    { selector: { matchLabels: labels }, mtls: { mode: 'STRICT' } },
    'identity.peers: in plain text there is no peer (source.principal), so such callers would all need a token.',
  );
}

function requestAuthentication(options: PrintOptions, { name, namespace, labels }: Place): CommentedDocument {
  const rules = (options.jwtProviders ?? []).map(
    ({ issuer, audiences, jwksUri }): Json => ({
      issuer,
      audiences,
      ...(jwksUri === undefined ? {} : { jwksUri }),
      forwardOriginalToken: false,
    }),
  );
  return resource(
    'security.istio.io/v1',
    'RequestAuthentication',
    { name, namespace },
    { selector: { matchLabels: labels }, jwtRules: rules },
    `identity.jwtAuthn: Istio verifies these tokens and puts their payload where the gate reads it (namespace
envoy.filters.http.jwt_authn, key payload). forwardOriginalToken: false takes the token away; with true the gate gets it too,
verifies it itself and decides by it, and identity.jwtAuthn is not needed. outputPayloadToHeader and outputClaimToHeaders do
nothing here: headers are never looked at. What Istio refuses it answers itself (401), not in the shape of the SDKs.
${NOBODY_ELSE}`,
  );
}

/** Paragraphs for the head of the Istio output. */
export function istioIdentityPreface({ verifiedByEnvoy, mesh }: PrintOptions): string {
  if (!verifiedByEnvoy?.peers) return '';
  const where =
    mesh.context === 'gateway'
      ? `the client that shows the ingress gateway a certificate: its Gateway server needs tls.mode MUTUAL (or OPTIONAL_MUTUAL), else
nobody is a peer`
      : 'the workload whose sidecar calls the model; PeerAuthentication below is STRICT';
  return `identity.peers: the peer is ${where}.
Never allow the SPIFFE id of a gateway or another proxy: everybody behind it would be that peer.`;
}

/** Envoy Gateway: fields of the ClientTrafficPolicy. */
export function gatewayClientTls({ verifiedByEnvoy }: PrintOptions): { readonly [key: string]: Json } {
  if (!verifiedByEnvoy?.peers) return {};
  const caCertificateRefs = [{ group: '', kind: 'ConfigMap', name: 'sallyport-peers-ca' }];
  return { tls: { clientValidation: { optional: true, caCertificateRefs } } };
}

export const gatewayClientTlsNote: Note = [
  ['spec', 'tls', 'clientValidation'],
  `identity.peers: ConfigMap sallyport-peers-ca holds the peers’ CA (key ca.crt). Needs a Gateway listener with TLS. Not the modes Request
and RequireAny: with them Envoy takes certificates that it could not verify.`,
];

/** Envoy Gateway: fields of the EnvoyProxy. Its default order has ext_authz first. */
export function gatewayFilterOrder({ verifiedByEnvoy }: PrintOptions): { readonly [key: string]: Json } {
  if (!verifiedByEnvoy?.jwtAuthn) return {};
  return { filterOrder: [{ name: JWT_AUTHN, before: 'envoy.filters.http.ext_authz' }] };
}

export const gatewayFilterOrderNote: Note = [
  ['spec', 'filterOrder'],
  'identity.jwtAuthn: by default ext_authz comes first, and sees nothing of what jwt_authn verifies.',
];

/** Paragraphs for the head of the Envoy Gateway output. */
export function gatewayIdentityPreface({ verifiedByEnvoy }: PrintOptions): string {
  if (!verifiedByEnvoy?.jwtAuthn) return '';
  return `identity.jwtAuthn: add \`jwt\` (providers with issuer, audiences, remoteJWKS) to every SecurityPolicy below; \`optional: true\` where
peers or keys of the gateway’s own come too. Envoy Gateway always forwards the token: sent as a bearer token it reaches the gate,
which verifies it itself and decides by it. So identity.jwtAuthn serves tokens in cookies and other headers (\`extractFrom\`) only.
${NOBODY_ELSE}`;
}
