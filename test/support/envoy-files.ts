/** The files in `envoy/`, each with the function that prints it. `vitest -u` writes them again. */
import type { BootstrapOptions } from '../../src/envoy/bootstrap.ts';
import { defaultPrintOptions } from '../../src/envoy/print/options.ts';
import { printEnvoy, printStandalone } from '../../src/envoy/print.ts';

/**
 * docker-compose.yml: Envoy, the gateway and the model are containers on one network, so the gate is reached over TCP with
 * mTLS; `certs` makes the certificates. Plain text would be less to set up, and open to every container on that network.
 */
export const composeOptions: BootstrapOptions = {
  listen: { host: '0.0.0.0', port: 10000 },
  gates: [
    {
      kind: 'tcp',
      host: 'gateway',
      port: 9443,
      tls: {
        caFile: '/certs/ca.crt',
        certFile: '/certs/envoy.crt',
        keyFile: '/certs/envoy.key',
        serverName: 'gateway',
      },
    },
  ],
  models: [{ cluster: 'model_llama3.2_1', upstream: { host: 'ollama', port: 11434, tls: false } }],
  maxRequestBytes: 4 * 1024 * 1024,
  approvalsWaitS: 30,
  admin: { host: '127.0.0.1', port: 9901 },
};

export const envoyFiles = {
  'standalone.yaml': () => printEnvoy('standalone', defaultPrintOptions('istio')),
  'istio.yaml': () => printEnvoy('istio', defaultPrintOptions('istio')),
  'envoy-gateway.yaml': () => printEnvoy('envoy-gateway', defaultPrintOptions('envoy-gateway')),
  'compose.yaml': () => printStandalone(composeOptions),
} as const;
