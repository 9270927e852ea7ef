import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Config, loadConfig } from '../../../src/config.ts';
import { checkEnvoyConfig } from '../../../src/envoy/check.ts';
import { printForConfig } from '../../../src/gateway/envoy-print.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-print-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function config(listen: string, host = 'llama.models.svc.cluster.local'): Config {
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(
    join(folder, 'models.yaml'),
    `models: [{name: llama, version: "2", upstream: "http://${host}:8000", formats: [openai-chat]}]`,
  );
  writeFileSync(
    file,
    `identity: {providers: [{name: main, issuer: https://id.example, audience: sallyport, algorithms: [RS256]}]}
models: {file: models.yaml}
maxRequestBytes: 1048576
listen: ${listen}
`,
  );
  const loaded = loadConfig(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}
const TLS = 'tls: {cert: c, key: k, clientCa: ca, allowedClients: [envoy]}';

describe('print for the gateway of a configuration', () => {
  it('standalone: its socket, its models, its limit', async () => {
    const text = await printForConfig(config('{grpc: "unix:/run/gate.sock", envoy: "0.0.0.0:8080"}'), 'standalone');
    const { static_resources } = parse(text);
    expect(static_resources.listeners[0].address.socket_address).toEqual({ address: '0.0.0.0', port_value: 8080 });
    const [gate, model] = static_resources.clusters;
    expect(gate.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address).toEqual({
      pipe: { path: '/run/gate.sock' },
    });
    expect(model.name).toBe('model_llama_2');
    expect(text).toContain('max_request_bytes: 1048576');
    expect(checkEnvoyConfig(text, { maxRequestBytes: 1_048_576 })).toEqual({ findings: [] });
  });

  it('standalone: a gate that listens everywhere with mTLS is reached on this machine, with mTLS', async () => {
    const text = await printForConfig(config(`{grpc: "0.0.0.0:9000", ${TLS}}`), 'standalone');
    const [gate] = parse(text).static_resources.clusters;
    expect(gate.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address).toEqual({
      socket_address: { address: '127.0.0.1', port_value: 9000 },
    });
    expect(gate.transport_socket.typed_config.sni).toBe('sallyport.sallyport.svc');
  });

  it.each([
    [
      'plain text in the mesh',
      '{grpc: "0.0.0.0:9000", plaintext: mesh}',
      'outbound|9000||sallyport.sallyport.svc.cluster.local',
      'mode: ISTIO_MUTUAL',
    ],
    [
      'mTLS of its own',
      `{grpc: "0.0.0.0:9000", ${TLS}}`,
      'cluster_name: sallyport\n',
      'filename: /etc/sallyport-tls/tls.crt',
    ],
  ])('Istio: %s', async (_, listen, cluster, transport) => {
    const text = await printForConfig(config(listen), 'istio');
    expect(text).toContain(cluster);
    expect(text).toContain(transport);
    expect(checkEnvoyConfig(text, { maxRequestBytes: 1_048_576 })).toEqual({ findings: [] });
  });

  it('a mesh whose model is no Service is refused, and a registry that is not there', async () => {
    await expect(printForConfig(config('{}', '10.0.0.1'), 'istio')).rejects.toThrow(/10\.0\.0\.1 is not a Service/);
    const missing = { ...config('{}'), models: { file: join(folder, 'none.yaml') } };
    await expect(printForConfig(missing, 'standalone')).rejects.toThrow(/none\.yaml/);
  });
});
