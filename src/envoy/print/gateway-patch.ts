/** Envoy Gateway: the settings that its policies have no field for, as JSON patches (RFC 6902) of Envoy's own resources. */
import { authzFilter, type Json, localReplies, procFilter } from '../bootstrap.ts';
import { resource } from './kubernetes.ts';
import type { PrintOptions } from './options.ts';
import type { CommentedDocument } from './yaml.ts';

export const EG = 'gateway.envoyproxy.io/v1alpha1';
export const GATEWAY_API = 'gateway.networking.k8s.io';
/** Every policy of ours is called so, or `sallyport-<model>`: the patches find the filters by it. */
export const POLICY = 'sallyport';

export function gatewayRef({ mesh }: PrintOptions): Json {
  return { group: GATEWAY_API, kind: 'Gateway', name: mesh.proxy.gateway };
}

/** One `add` for each field that the policies lack, to the filters that they make. */
export function patchPolicy(options: PrintOptions): CommentedDocument {
  const { namespace, gateway, listener } = options.mesh.proxy;
  const name = `${namespace}/${gateway}/${listener}`;
  const listenerPatch = (jsonPath: string, path: string, value: Json): Json => ({
    type: 'type.googleapis.com/envoy.config.listener.v3.Listener',
    name,
    operation: { op: 'add', jsonPath, path, value },
  });
  const filter = (kind: string, policy: string): string =>
    `..http_filters[?match(@.name, 'envoy[.]filters[.]http[.]${kind}/${policy}')].typed_config`;
  const authz = filter('ext_authz', `securitypolicy/.*/${POLICY}.*`);
  const proc = filter('ext_proc', `envoyextensionpolicy/.*/${POLICY}/.*`);
  const configOf = (part: Json): { readonly [key: string]: Json } =>
    (part as { typed_config: { readonly [key: string]: Json } }).typed_config;
  const adds = (jsonPath: string, config: { readonly [key: string]: Json }, fields: readonly string[]): Json[] =>
    fields.map((field) => listenerPatch(jsonPath, field, config[field] ?? null));
  return resource(
    EG,
    'EnvoyPatchPolicy',
    { name: POLICY, namespace },
    {
      targetRef: gatewayRef(options),
      type: 'JSONPatch',
      jsonPatches: [
        ...adds(authz, configOf(authzFilter(options, false)), [
          'status_on_error',
          'validate_mutations',
          'encode_raw_headers',
          'with_request_body',
          ...(options.verifiedByEnvoy?.peers ? ['include_peer_certificate'] : []),
          ...(options.verifiedByEnvoy?.jwtAuthn ? ['metadata_context_namespaces'] : []),
        ]),
        ...adds(proc, configOf(procFilter()), [
          'status_on_error',
          'allowed_override_modes',
          'request_attributes',
          'response_attributes',
          'processing_mode',
        ]),
        listenerPatch(
          "..filters[?(@.name=='envoy.filters.network.http_connection_manager')].typed_config",
          'local_reply_config',
          localReplies(),
        ),
        {
          type: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
          name,
          operation: { op: 'remove', jsonPath: '..routes[*].route.upgrade_configs' },
        },
      ],
    },
    `What the policies have no field for. The resource is named <namespace>/<gateway>/<listener>; with the runtime flag
XDSNameSchemeV2 (the default from Envoy Gateway 1.10) it is tcp-<port> for the listener and http-<port> for the routes.
Look whether its status says Programmed: until then nothing passes.
Raw headers, bytes, trailers and the cluster's name are what the gate insists on; the last patch takes away the websocket
upgrade that Envoy Gateway gives every route (upgrades skip the body filters; the gate refuses them in any case).`,
  );
}
