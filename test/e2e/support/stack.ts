/** The real thing for a test: OpenID provider, model, gateway and Envoy on free ports, in a folder of their own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startDemoProvider } from '../../../src/commands/demo/provider.ts';
import { demoToken } from '../../../src/commands/token.ts';
import { type Config, loadConfig } from '../../../src/config.ts';
import {
  type GateAddress,
  type GateTls,
  type Json,
  standaloneBootstrap,
  type VerifiedByEnvoy,
} from '../../../src/envoy/bootstrap.ts';
import { adminSocket, type Envoy, launchEnvoy } from '../../../src/envoy/launch.ts';
import { gateAddress, verifiedByEnvoy } from '../../../src/gateway/front.ts';
import type { RunningGateway } from '../../../src/gateway/running.ts';
import { type GatewayExtras, startGateway } from '../../../src/gateway.ts';
import { createLog } from '../../../src/observe/log.ts';
import { readJournal } from '../../../src/record/reader.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export const envoyBinary = (): string => {
  const binary = process.env['ENVOY_BIN'];
  if (binary === undefined) throw new Error('ENVOY_BIN is not set: run the tests with `npm test`');
  return binary;
};

export interface StackOptions {
  /** Sections of sallyport.yaml over those that the stack needs. */
  readonly config?: object;
  /** More of the stack's own provider. */
  readonly provider?: object;
  /** Providers beside the stack's own, and the rest of the section `identity`. */
  readonly providers?: readonly object[];
  readonly identity?: object;
  /** File name → policy text; default: ml-eng and contractors may chat, all but pii-cleared are masked. */
  readonly policies?: Readonly<Record<string, string>>;
  /** Changes the Envoy config before it is used. */
  readonly envoy?: (bootstrap: EnvoyConfig) => void;
  readonly modelsSpeakHttp2?: boolean;
  /** More of the entry in models.yaml. */
  readonly model?: object;
  /** Further entries of models.yaml: of the same upstream, in the same cluster. */
  readonly models?: readonly object[];
  /** Port of the model instead of the stack's own. */
  readonly modelPort?: number;
  readonly extras?: GatewayExtras;
  readonly binary?: string;
  /** Port of Envoy, where the gateway must know it (`modelsUrl`). Default: any free one. */
  readonly envoyPort?: number;
  /** What Envoy presents to a gateway with `listen.tls`. */
  readonly gateTls?: GateTls;
}

/** The parts of the bootstrap that tests change. */
export interface EnvoyConfig {
  static_resources: {
    listeners: {
      filter_chains: {
        transport_socket?: Json;
        filters: { typed_config: { http_filters: EnvoyFilter[]; route_config: Json; [key: string]: unknown } }[];
      }[];
    }[];
    clusters: { name: string; [key: string]: unknown }[];
  };
}
export interface EnvoyFilter {
  name: string;
  typed_config: Record<string, unknown>;
}

export interface Stack {
  readonly dir: string;
  /** Envoy, as a client reaches it: `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly model: Upstream;
  readonly config: Config;
  readonly gateway: RunningGateway;
  readonly envoy: Envoy;
  readonly log: readonly string[];
  /** A fresh access token of a demo person. */
  token(who: 'jane' | 'sam'): Promise<string>;
  /** What is in the journal's files now. */
  journal(): Promise<JournalLine[]>;
  close(): Promise<void>;
}

export type JournalLine =
  | { readonly kind: 'event'; readonly event: Record<string, unknown> & { type: string; session: string } }
  | { readonly kind: 'content'; readonly session: string; readonly direction: string; readonly text: string };

export const DEFAULT_POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: test}
spec:
  rules:
    - {name: members-may-chat, when: '"ml-eng" in caller.groups || "contractors" in caller.groups', then: allow}
    - name: no-cards-in
      when: '"contractors" in caller.groups && "credit_card" in request.findings'
      then: deny
      message: Remove the card number.
    - {name: mask-for-others, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [all]}
`;

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Writes sallyport.yaml, models.yaml and the policies of a test. */
export function writeConfig(dir: string, issuer: string, modelPort: number, options: StackOptions): string {
  mkdirSync(join(dir, 'policies'), { recursive: true });
  for (const [name, text] of Object.entries(options.policies ?? { 'test.yaml': DEFAULT_POLICY }))
    writeFileSync(join(dir, 'policies', name), text);
  writeFileSync(join(dir, 'model-key'), 'model-secret\n');
  writeFileSync(
    join(dir, 'models.yaml'),
    stringify({
      models: [
        {
          name: 'demo',
          version: '1',
          upstream: `http://127.0.0.1:${modelPort}`,
          formats: ['openai-chat'],
          credential: { file: 'model-key' },
          ...options.model,
        },
        ...(options.models ?? []).map((entry) => ({
          version: '1',
          upstream: `http://127.0.0.1:${modelPort}`,
          cluster: 'model_demo_1',
          credential: { file: 'model-key' },
          ...entry,
        })),
      ],
    }),
  );
  const file = join(dir, 'sallyport.yaml');
  const sections = {
    listen: { grpc: 'unix:gate.sock', public: '127.0.0.1:0', internal: '127.0.0.1:0' },
    identity: {
      providers: [
        {
          ...{ name: 'demo', issuer, audience: 'sallyport', algorithms: ['ES256'] },
          ...{ login: { clientId: 'sallyport-cli' }, ...options.provider },
        },
        ...(options.providers ?? []),
      ],
      ...options.identity,
    },
    models: { file: 'models.yaml' },
    policies: { dir: 'policies' },
    drainTimeout: '5s',
    ...options.config,
  };
  writeFileSync(file, stringify(sections, { aliasDuplicateObjects: false }));
  return file;
}

export function readConfig(file: string): Config {
  const loaded = loadConfig(file, { ...process.env });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2));
  return loaded.config;
}

export interface EnvoyTestOptions {
  readonly dir: string;
  readonly gates: readonly [GateAddress, ...GateAddress[]];
  readonly modelPort: number;
  readonly verifiedByEnvoy?: VerifiedByEnvoy;
  readonly change?: ((bootstrap: EnvoyConfig) => void) | undefined;
  readonly modelsSpeakHttp2?: boolean | undefined;
  readonly onLine: (line: string) => void;
  readonly binary?: string | undefined;
  readonly port?: number | undefined;
}

/** The standalone Envoy on a free port, changed as the test asks. */
export async function startEnvoy(options: EnvoyTestOptions): Promise<{ envoy: Envoy; port: number }> {
  const port = options.port ?? (await freePort());
  const config = structuredClone(
    standaloneBootstrap({
      listen: { host: '127.0.0.1', port },
      gates: options.gates,
      models: [{ cluster: 'model_demo_1', upstream: { host: '127.0.0.1', port: options.modelPort, tls: false } }],
      maxRequestBytes: 4 * 1024 * 1024,
      approvalsWaitS: 30,
      verifiedByEnvoy: options.verifiedByEnvoy ?? { peers: false, jwtAuthn: false },
      admin: { path: adminSocket(options.dir) },
      modelsSpeakHttp2: options.modelsSpeakHttp2 ?? false,
    }),
  );
  options.change?.(config as unknown as EnvoyConfig);
  const envoy = await launchEnvoy({
    binary: options.binary ?? envoyBinary(),
    dir: options.dir,
    config,
    concurrency: 1,
    onLine: options.onLine,
    onExit: (why) => options.onLine(`Envoy ended: ${why}`),
  });
  return { envoy, port };
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { gateTls } = options;
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-e2e-'));
  const lines: string[] = [];
  const provider = await startDemoProvider({ port: 0, stateDir: join(dir, 'idp') });
  const model = await startUpstream();
  const file = writeConfig(dir, provider.url, options.modelPort ?? model.port, options);
  const config = readConfig(file);
  const log = createLog({ level: 'warn', target: { write: (line) => lines.push(line) } });
  const gateway = await startGateway(config, { log, onProgress: () => {} }, options.extras);
  const { envoy, port } = await startEnvoy({
    dir,
    gates: [{ ...gateAddress(config, gateway.addresses['grpc']), ...(gateTls === undefined ? {} : { tls: gateTls }) }],
    modelPort: options.modelPort ?? model.port,
    verifiedByEnvoy: verifiedByEnvoy(config),
    change: options.envoy,
    modelsSpeakHttp2: options.modelsSpeakHttp2,
    onLine: (line) => lines.push(line),
    binary: options.binary,
    port: options.envoyPort,
  });
  return {
    dir,
    url: `http://127.0.0.1:${port}`,
    port,
    model,
    config,
    gateway,
    envoy,
    log: lines,
    token: (who) => demoToken(provider.url, who),
    journal: () => readLines(config),
    close: async () => {
      await envoy.stop(0);
      await gateway.close();
      await model.close();
      await provider.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Reads a journal's files as they are on disk now. */
export async function readLines(config: Config): Promise<JournalLine[]> {
  const lines: JournalLine[] = [];
  for await (const record of readJournal(config.record.journal.dir)) {
    if (record.kind === 'damage') throw new Error(`the journal is damaged: ${JSON.stringify(record)}`);
    lines.push(
      record.kind === 'event'
        ? { kind: 'event', event: JSON.parse(record.body.toString('utf8')) }
        : { ...record, text: record.bytes.toString('utf8') },
    );
  }
  return lines;
}

/** Polls until `look` returns something; fails after `ms`. For what happens beside the request: the shipper, Envoy's health checks. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string,
  ms = 10_000,
): Promise<T> {
  const until = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
