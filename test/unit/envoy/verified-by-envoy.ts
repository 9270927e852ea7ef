/** Configurations of gateways that take identities from Envoy: as they are printed, and what `envoy check` says of them. */
import { parseAllDocuments } from 'yaml';
import { standaloneBootstrap, type VerifiedByEnvoy } from '../../../src/envoy/bootstrap.ts';
import { checkEnvoyConfig } from '../../../src/envoy/check.ts';
import { defaultPrintOptions, type PrintOptions } from '../../../src/envoy/print/options.ts';
import { type PrintTarget, printEnvoy } from '../../../src/envoy/print.ts';

// biome-ignore lint/suspicious/noExplicitAny: configurations are read and changed at any depth here
export type Tree = any;

export const NAMESPACE = 'envoy.filters.http.jwt_authn';
export const both: VerifiedByEnvoy = { peers: true, jwtAuthn: true };
export const neither: VerifiedByEnvoy = { peers: false, jwtAuthn: false };
const jwtProviders = [
  { issuer: 'https://login.example.com', audiences: ['sallyport'], jwksUri: 'https://login.example.com/keys' },
  { issuer: 'https://ci.example.com', audiences: ['sallyport', 'models'], jwksUri: undefined },
];

function options(target: PrintTarget, verifiedByEnvoy: VerifiedByEnvoy, context: 'gateway' | 'sidecar' = 'gateway') {
  const base = defaultPrintOptions(target === 'envoy-gateway' ? 'envoy-gateway' : 'istio');
  return { ...base, verifiedByEnvoy, jwtProviders, mesh: { ...base.mesh, context } } satisfies PrintOptions;
}
export const print = (target: PrintTarget, verified = both, context: 'gateway' | 'sidecar' = 'gateway'): string =>
  printEnvoy(target, options(target, verified, context));
export const objects = (text: string): Tree[] => parseAllDocuments(text).map((document) => document.toJS());
export const ofKind = (text: string, kind: string): readonly Tree[] => objects(text).filter((one) => one.kind === kind);

const findings = (text: string, verifiedByEnvoy?: VerifiedByEnvoy) => {
  const checked = checkEnvoyConfig(text, verifiedByEnvoy === undefined ? {} : { verifiedByEnvoy });
  if ('error' in checked) throw new Error(checked.error);
  return checked.findings;
};
export const rules = (text: string, verifiedByEnvoy?: VerifiedByEnvoy): readonly string[] =>
  findings(text, verifiedByEnvoy).map(({ severity, rule }) => `${severity} ${rule}`);

export const provider = { issuer: 'https://login.example.com', payload_in_metadata: 'payload' };
export const jwtAuthn = (over: object = {}): Tree => ({
  name: NAMESPACE,
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
    providers: { login: provider },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'login' } }],
    ...over,
  },
});
/** The standalone bootstrap, with jwt_authn where it belongs. */
export function bootstrap(verified: VerifiedByEnvoy = both): Tree {
  const { standalone, ...rest } = options('standalone', verified);
  const tree: Tree = structuredClone(standaloneBootstrap({ ...rest, ...standalone }));
  if (verified.jwtAuthn) filters(tree).unshift(jwtAuthn());
  return tree;
}
export const listener = (tree: Tree): Tree => tree.static_resources.listeners[0];
export const hcm = (tree: Tree): Tree => listener(tree).filter_chains[0].filters[0].typed_config;
export const filters = (tree: Tree): Tree[] => hcm(tree).http_filters;
export const authz = (tree: Tree): Tree =>
  filters(tree).find(({ name }) => name === 'envoy.filters.http.ext_authz').typed_config;
export const filter = (name: string, message: string, config: object): Tree => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.http.${message}`, ...config },
});
