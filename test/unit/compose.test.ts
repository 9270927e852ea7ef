/** docker-compose.yml cannot run where the tests do (no Docker engine); what its files say to each other is held here. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Config, loadConfig } from '../../src/config.ts';
import { builtInDetectors } from '../../src/gateway/detectors.ts';
import { loadModels } from '../../src/models/load.ts';
import { loadPolicies } from '../../src/policy/load.ts';
import { composeOptions } from '../support/envoy-files.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly ports?: readonly string[];
}
const compose = parse(read('docker-compose.yml')) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: object;
  readonly volumes: object;
};
const service = (name: string): Service => compose.services[name] ?? {};

function config(): Config {
  const loaded = loadConfig(join(root, 'compose', 'sallyport.yaml'), {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

describe('docker-compose.yml', () => {
  it('mounts files that are there, and volumes and networks that it names', () => {
    for (const [name, { volumes = [], networks = [] }] of Object.entries(compose.services)) {
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('./')) expect(existsSync(join(root, source)), `${name}: ${source}`).toBe(true);
        else expect(compose.volumes).toHaveProperty(source);
      }
      for (const network of networks) expect(compose.networks).toHaveProperty(network);
    }
  });

  it('puts nobody but Envoy (and what fetches the model) on the model’s network, and publishes nothing of it', () => {
    const onIt = Object.entries(compose.services).filter(([, { networks }]) => networks?.includes('models'));
    expect(onIt.map(([name]) => name)).toEqual(['envoy', 'ollama', 'pull']);
    expect(service('ollama')).not.toHaveProperty('ports');
    for (const { ports = [] } of Object.values(compose.services))
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('names images by version', () => {
    for (const [name, { image, build }] of Object.entries(compose.services))
      expect(image ?? build, name).toMatch(/:v?\d+\.\d+(\.\d+)?$|^\.$/);
  });

  it('has no password in it', () => {
    for (const name of ['gateway', 'clickhouse'])
      expect(service(name).environment?.['CLICKHOUSE_PASSWORD']).toMatch(/^\$\{CLICKHOUSE_PASSWORD:\?/);
  });
});

describe('the gateway’s files in compose/', () => {
  it('are a configuration that loads, with mTLS for the one who calls it', () => {
    const { listen, store, stateDir, maxRequestBytes } = config();
    const [gate] = composeOptions.gates;
    if (gate.kind !== 'tcp' || gate.tls === undefined) throw new Error('Envoy must reach the gate by TCP with TLS');
    expect(gate).toMatchObject({ host: 'gateway', port: listen.grpc.kind === 'tcp' ? listen.grpc.port : 0 });
    expect(gate.tls.certFile).toBe(`/certs/${listen.tls?.allowedClients[0]}.crt`);
    expect(gate.tls.caFile).toBe(listen.tls?.clientCa);
    expect(listen.tls?.cert).toBe(`/certs/${gate.tls.serverName}.crt`);
    expect(maxRequestBytes).toBe(composeOptions.maxRequestBytes);
    expect(store).toMatchObject({ engine: 'clickhouse', passwordEnv: 'CLICKHOUSE_PASSWORD', user: 'sallyport' });
    expect(service('clickhouse').environment).toMatchObject({
      CLICKHOUSE_USER: 'sallyport',
      CLICKHOUSE_DB: 'sallyport',
    });
    expect(service('gateway').volumes).toContain(`state:${stateDir}`);
  });

  it('name the model and its cluster as Envoy does, and a policy that compiles', async () => {
    const { models, policies } = config();
    const loaded = await loadModels(models.file, {});
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.models.map(({ cluster, upstream }) => ({ cluster, upstream }))).toEqual(composeOptions.models);
    const compiled = await loadPolicies({
      dir: policies.dir,
      models: loaded.models,
      resolveDetectors: builtInDetectors.resolve,
      evaluationBudget: policies.evaluationBudget,
    });
    expect(compiled).toMatchObject({ ok: true });
  });
});

describe('Dockerfile', () => {
  const lines = read('Dockerfile').split('\n');
  const last = (word: string): string => lines.findLast((line) => line.startsWith(`${word} `)) ?? '';

  it('runs `serve` as somebody who is not root, on Node 24, without development dependencies', () => {
    expect(lines.filter((line) => line.startsWith('FROM ')).every((line) => line.includes('node:24-slim'))).toBe(true);
    expect(last('USER')).toBe('USER node');
    expect(last('ENTRYPOINT')).toBe('ENTRYPOINT ["node", "--max-semi-space-size=4", "src/main.ts", "serve"]');
    expect(read('Dockerfile')).toContain('npm ci --omit=dev --omit=optional');
  });

  it('copies what is there, and .dockerignore lets it through', () => {
    const allowed = new Set(
      read('.dockerignore')
        .split('\n')
        .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : [])),
    );
    const copies = lines.filter((line) => line.startsWith('COPY ') && !line.includes('--from='));
    for (const source of copies.flatMap((line) => line.split(' ').slice(1, -1))) {
      expect(allowed).toContain(source.replace('*', ''));
      if (!source.includes('*')) expect(existsSync(join(root, source)), source).toBe(true);
    }
  });
});
