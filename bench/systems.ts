/**
 * What is compared, behind one Envoy with a listener each: Envoy alone; Envoy with the pass-through pair; Envoy with
 * Sallyport (token, policy, masking, durable record). Model, pair and gateway are processes of their own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type Json, standaloneBootstrap } from '../src/envoy/bootstrap.ts';
import { adminSocket, type Envoy, launchEnvoy } from '../src/envoy/launch.ts';
import type { Target } from './load.ts';

export interface System {
  readonly name: 'envoy alone' | 'pass-through pair' | 'sallyport';
  readonly target: Target;
  /** The plugin server's process; Envoy alone has none. */
  readonly pid: number | undefined;
}

export interface Bench {
  readonly systems: readonly System[];
  readonly envoyPid: number;
  /** Starts to watch the gateway's event loop; the function stops, and tells the longest hold in milliseconds. */
  watch(): () => Promise<number>;
  /** Folder of the gateway's policies. */
  readonly policies: string;
  /** What the gateway says at /metrics. */
  metrics(): Promise<string>;
  close(): Promise<void>;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const CLUSTER = 'model_bench_1';

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An issuer with discovery and one ES256 key; returns a token for one caller. */
async function startIssuer(): Promise<{ url: string; token: string; close: () => void }> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const server = http.createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const issuer = `http://127.0.0.1:${port}`;
    const body = request.url?.includes('openid-configuration')
      ? { issuer, jwks_uri: `${issuer}/jwks` }
      : { keys: [jwk] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const token = await new SignJWT({ groups: ['everyone'], email: 'bench@example.com' })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'at+jwt' })
    .setIssuer(url)
    .setAudience('sallyport')
    .setSubject('bench')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey);
  return { url, token, close: () => server.close() };
}

function writeConfig(
  dir: string,
  issuer: string,
  modelPort: number,
  { maxRequestBytes = 4 * 1024 * 1024, models = '' }: BenchOptions,
): string {
  mkdirSync(join(dir, 'policies'));
  writeFileSync(
    join(dir, 'policies', 'bench.yaml'),
    `apiVersion: sallyport/v1
kind: Policy
metadata: {name: bench}
spec:
  rules:
    - {name: everyone-may-chat, when: '"everyone" in caller.groups && request.operation == "chat"', then: allow}
    - {name: no-cards, when: '"credit_card" in request.findings', then: deny, message: no cards}
    - {name: mask, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [pii, secrets]}
`,
  );
  writeFileSync(
    join(dir, 'models.yaml'),
    `models:
  - {name: bench, version: "1", upstream: "http://127.0.0.1:${modelPort}", formats: [openai-chat]}
${models}`,
  );
  const file = join(dir, 'sallyport.yaml');
  writeFileSync(
    file,
    `listen: {grpc: "unix:gate.sock", public: "127.0.0.1:0", internal: "127.0.0.1:0"}
log: {level: warn}
maxRequestBytes: ${maxRequestBytes}
identity:
  providers: [{name: bench, issuer: "${issuer}", audience: sallyport, algorithms: [ES256]}]
models: {file: models.yaml}
policies: {dir: policies, reload: {interval: 1s}}
`,
  );
  return file;
}

interface Said {
  readonly port?: number;
  readonly internal?: string;
}

/** A fork that says one message when it is ready. */
async function startChild(
  module: string,
  args: readonly string[],
  execArgv: readonly string[] = [],
): Promise<{ child: ChildProcess; said: Said }> {
  const child = fork(module, [...args], { execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const said = await new Promise<Said>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Said));
    child.once('exit', (code) => reject(new Error(`${module} ended with ${code}`)));
  });
  return { child, said };
}

type Listener = {
  name: string;
  address: Json;
  filter_chains: [
    { filters: [{ typed_config: { http_filters: { name: string }[]; route_config: Json; stat_prefix: string } }] },
  ];
};

/** The standalone bootstrap with two more listeners: without our filters, and with the pair's cluster in them. */
function benchBootstrap(
  ports: readonly number[],
  sockets: { gate: string; pair: string },
  modelPort: number,
  dir: string,
  maxRequestBytes: number,
): Json {
  const base = (socket: string, port: number) =>
    structuredClone(
      standaloneBootstrap({
        listen: { host: '127.0.0.1', port },
        gates: [{ kind: 'pipe', path: socket }],
        models: [{ cluster: CLUSTER, upstream: { host: '127.0.0.1', port: modelPort, tls: false } }],
        maxRequestBytes,
        approvalsWaitS: 30,
        admin: { path: adminSocket(dir) },
      }),
    ) as unknown as {
      static_resources: {
        listeners: [Listener];
        clusters: { name: string; load_assignment: { cluster_name: string } }[];
      };
    };
  const gate = base(sockets.gate, ports[2]!);
  const pair = base(sockets.pair, ports[1]!);
  const alone = base(sockets.pair, ports[0]!);
  const pairText = JSON.stringify(pair.static_resources).replaceAll('"sallyport"', '"pair"');
  const pairResources = JSON.parse(pairText) as typeof pair.static_resources;
  const aloneListener = alone.static_resources.listeners[0];
  aloneListener.name = 'alone';
  const manager = aloneListener.filter_chains[0].filters[0].typed_config;
  manager.http_filters = manager.http_filters.filter(({ name }) => name === 'envoy.filters.http.router');
  manager.stat_prefix = 'alone';
  manager.route_config = {
    name: 'alone',
    virtual_hosts: [
      { name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: CLUSTER, timeout: '0s' } }] },
    ],
  };
  gate.static_resources.listeners.push(pairResources.listeners[0] as never, aloneListener as never);
  gate.static_resources.clusters.push(...pairResources.clusters.filter(({ name }) => name === 'pair'));
  return gate as unknown as Json;
}

export interface BenchOptions {
  /** A CPU profile of the gateway is left there. */
  readonly profileDir?: string | undefined;
  /** A model to use instead of the bench's own. */
  readonly modelPort?: number;
  /** 4 MiB by default. */
  readonly maxRequestBytes?: number;
  /** Lines of models.yaml beside the bench's own model. */
  readonly models?: string;
}

export async function startBench(envoyBinary: string, options: BenchOptions = {}): Promise<Bench> {
  const { profileDir, maxRequestBytes = 4 * 1024 * 1024 } = options;
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const model = await startChild(here('model.ts'), []);
  const modelPort = options.modelPort ?? model.said.port!;
  const issuer = await startIssuer();
  const config = writeConfig(dir, issuer.url, modelPort, options);
  const sockets = { gate: join(dir, '.sallyport', 'gate.sock'), pair: join(dir, 'pair.sock') };
  const gateway = await startChild(
    here('gateway.ts'),
    [config],
    // As src/main.ts runs it.
    ['--max-semi-space-size=4', ...(profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`])],
  );
  const pair = await startChild(here('pair.ts'), [sockets.pair, CLUSTER]);
  const ports = [await freePort(), await freePort(), await freePort()];
  const envoy: Envoy = await launchEnvoy({
    binary: envoyBinary,
    dir,
    config: benchBootstrap(ports, sockets, modelPort, dir, maxRequestBytes),
    concurrency: undefined,
    onLine: (line) => process.stderr.write(`envoy: ${line}\n`),
    onExit: (why) => process.stderr.write(`Envoy ended: ${why}\n`),
  });
  const system = (name: System['name'], port: number, pid: number | undefined): System => ({
    name,
    target: { port, token: issuer.token },
    pid,
  });
  return {
    systems: [
      system('envoy alone', ports[0]!, undefined),
      system('pass-through pair', ports[1]!, pair.child.pid),
      system('sallyport', ports[2]!, gateway.child.pid),
    ],
    envoyPid: envoy.pid,
    policies: join(dir, 'policies'),
    metrics: async () => (await fetch(`${gateway.said.internal}/metrics`)).text(),
    watch: () => {
      gateway.child.send('watch');
      return async () => {
        const report = once(gateway.child, 'message');
        gateway.child.send('report');
        const [{ longestMs }] = (await report) as [{ longestMs: number }];
        return longestMs;
      };
    },
    close: async () => {
      await envoy.stop(0);
      for (const { child } of [model, pair, gateway]) child.disconnect();
      await Promise.all(
        [model, pair, gateway].map(({ child }) => new Promise((resolve) => child.once('exit', resolve))),
      );
      issuer.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
