import { describe, expect, it } from 'vitest';
import { printTargets } from '../../../src/envoy/print.ts';
import { authz, bootstrap, both, NAMESPACE, neither, ofKind, print, rules, type Tree } from './verified-by-envoy.ts';

describe('what is printed', () => {
  it.each(printTargets)('asks %s for nothing where the gateway takes no identity from Envoy', (target) => {
    const text = print(target, neither);
    for (const part of ['metadata_context_namespaces', 'include_peer_certificate', 'jwt', 'clientValidation'])
      expect(text).not.toContain(part);
  });

  it.each(printTargets)(
    'asks %s for both, says what is needed beside it, and has no finding but what it cannot print',
    (target) => {
      const text = print(target);
      expect(text).toContain('include_peer_certificate');
      expect(text).toContain('metadata_context_namespaces');
      expect(text).toContain('identity.peers:');
      expect(text).toContain('identity.jwtAuthn:');
      expect(text).toContain('extract_only_without_validation');
      const found = rules(text, both);
      expect(found).toEqual(target === 'standalone' ? ['breaks identity.jwt_authn_missing'] : []);
    },
  );

  it('standalone: exactly what was asked for', () => {
    expect(authz(bootstrap(neither))).not.toHaveProperty('include_peer_certificate');
    expect(authz(bootstrap({ peers: true, jwtAuthn: false }))).toMatchObject({ include_peer_certificate: true });
    expect(authz(bootstrap({ peers: true, jwtAuthn: false }))).not.toHaveProperty('metadata_context_namespaces');
    expect(authz(bootstrap({ peers: false, jwtAuthn: true }))).toMatchObject({
      metadata_context_namespaces: [NAMESPACE],
    });
    expect(authz(bootstrap({ peers: false, jwtAuthn: true }))).not.toHaveProperty('include_peer_certificate');
  });

  it('Istio: the tokens are verified where the gates are, and taken away', () => {
    const [atGateway] = ofKind(print('istio'), 'RequestAuthentication');
    expect(atGateway).toMatchObject({
      metadata: { namespace: 'istio-ingress' },
      spec: {
        selector: { matchLabels: { istio: 'ingress' } },
        jwtRules: [
          {
            issuer: 'https://login.example.com',
            audiences: ['sallyport'],
            jwksUri: 'https://login.example.com/keys',
            forwardOriginalToken: false,
          },
          { issuer: 'https://ci.example.com', audiences: ['sallyport', 'models'], forwardOriginalToken: false },
        ],
      },
    });
    expect(atGateway.spec.jwtRules[1]).not.toHaveProperty('jwksUri');
    const [inSidecar] = ofKind(print('istio', both, 'sidecar'), 'RequestAuthentication');
    expect(inSidecar).toMatchObject({
      metadata: { namespace: 'models' },
      spec: { selector: { matchLabels: { app: 'llama' } } },
    });
  });

  it('Istio: in a sidecar whoever calls must have a certificate', () => {
    const strict = ofKind(print('istio', both, 'sidecar'), 'PeerAuthentication').find(
      ({ metadata }) => metadata.namespace === 'models',
    );
    expect(strict?.spec).toEqual({ selector: { matchLabels: { app: 'llama' } }, mtls: { mode: 'STRICT' } });
    expect(print('istio', both, 'sidecar')).toContain('Never allow the SPIFFE id of a gateway');
  });

  it('Envoy Gateway: jwt_authn comes first, clients show certificates, and the patch asks for both', () => {
    const text = print('envoy-gateway');
    expect(ofKind(text, 'EnvoyProxy')[0].spec.filterOrder).toEqual([
      { name: NAMESPACE, before: 'envoy.filters.http.ext_authz' },
    ]);
    expect(ofKind(text, 'ClientTrafficPolicy')[0].spec.tls.clientValidation).toMatchObject({ optional: true });
    const patched = ofKind(text, 'EnvoyPatchPolicy')[0].spec.jsonPatches.map(({ operation }: Tree) => operation);
    expect(patched).toContainEqual(expect.objectContaining({ path: 'include_peer_certificate', value: true }));
    expect(patched).toContainEqual(
      expect.objectContaining({ path: 'metadata_context_namespaces', value: [NAMESPACE] }),
    );
  });
});
