/** What `sallyport envoy print` needs to know, and the defaults that `envoy/*.yaml` in the repository is printed from. */
import type { BootstrapModel, BootstrapOptions, GateAddress, GateTls, VerifiedByEnvoy } from '../bootstrap.ts';

/** `cluster`: Envoy's name for it when the gate picks the route (standalone); a mesh has its own names. */
export interface PrintModel extends BootstrapModel {
  readonly name: string;
}

export interface PrintOptions {
  /** In a mesh `upstream.host` is the model's Service, such as `llama.models.svc.cluster.local`. */
  readonly models: readonly PrintModel[];
  /** Largest request body, bytes; the gateway's `maxRequestBytes`. */
  readonly maxRequestBytes: number;
  /** Longest wait for an approval, seconds. */
  readonly approvalsWaitS: number;
  /** Default: none. */
  readonly verifiedByEnvoy?: VerifiedByEnvoy;
  /** Providers of `identity.jwtAuthn`, for Istio's RequestAuthentication. */
  readonly jwtProviders?: readonly JwtProvider[];
  readonly standalone: {
    readonly listen: { readonly host: string; readonly port: number };
    readonly gates: readonly [GateAddress, ...GateAddress[]];
    readonly admin: BootstrapOptions['admin'];
  };
  readonly mesh: MeshOptions;
}

export interface JwtProvider {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Undefined: Istio finds it by discovery. */
  readonly jwksUri: string | undefined;
}

/** Where the parts are in Kubernetes. */
export interface MeshOptions {
  /** Sallyport's own Service: its gRPC port is what Envoy calls. Its pods carry the label `app: <service>`. */
  readonly gate: { readonly namespace: string; readonly service: string; readonly port: number };
  /**
   * Files in Envoy's container for mTLS with the gate (Istio), and names of objects that hold them (Envoy Gateway).
   * Undefined: `listen.plaintext: mesh`, where sidecars do the mTLS. Envoy Gateway has no sidecars: it always speaks TLS.
   */
  readonly tls: GateTls | undefined;
  /** The proxy that clients reach: an Istio ingress gateway, or a Gateway of Envoy Gateway. */
  readonly proxy: {
    readonly namespace: string;
    /** Name of the `Gateway` object. */
    readonly gateway: string;
    /** Name of the Gateway's listener (Envoy Gateway calls its xDS resources after it). */
    readonly listener: string;
    /** Istio: labels of the proxy's pods. */
    readonly labels: Readonly<Record<string, string>>;
    /** Istio: the service account in the proxy's SPIFFE identity. */
    readonly serviceAccount: string;
  };
  /** Istio: gates at the ingress gateway, or in the sidecar of each model. */
  readonly context: 'gateway' | 'sidecar';
  /** SPIFFE trust domain of the mesh. */
  readonly trustDomain: string;
  /** Models answer to `<model>.<domain>`. */
  readonly domain: string;
}

/** Service and port of the gate: what the Service of `envoy print` and `listen.grpc` agree on. */
const gate = { namespace: 'sallyport', service: 'sallyport', port: 9443 };

/** Istio as its Helm charts install it. */
const istio: MeshOptions = {
  gate,
  tls: undefined,
  proxy: {
    namespace: 'istio-ingress',
    gateway: 'models',
    listener: 'http',
    labels: { istio: 'ingress' },
    serviceAccount: 'istio-ingress',
  },
  context: 'gateway',
  trustDomain: 'cluster.local',
  domain: 'models.example.com',
};

/** A Gateway called `models` in a namespace of its own. */
const envoyGateway: MeshOptions = { ...istio, proxy: { ...istio.proxy, namespace: 'gateways' } };

/** What `envoy/*.yaml` in the repository is printed from: one model, the gateway's own defaults. */
export function defaultPrintOptions(mesh: 'istio' | 'envoy-gateway'): PrintOptions {
  return {
    models: [
      {
        name: 'llama',
        cluster: 'model_llama_1',
        upstream: { host: 'llama.models.svc.cluster.local', port: 8000, tls: false },
      },
    ],
    maxRequestBytes: 4 * 1024 * 1024,
    approvalsWaitS: 30,
    standalone: {
      listen: { host: '127.0.0.1', port: 10000 },
      gates: [{ kind: 'pipe', path: '/run/sallyport/gate.sock' }],
      admin: { path: '/run/sallyport/envoy-admin.sock' },
    },
    mesh: mesh === 'istio' ? istio : envoyGateway,
  };
}
