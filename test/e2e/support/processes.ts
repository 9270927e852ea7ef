/** Gateways as processes of their own behind one Envoy: what is killed, drained and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDemoProvider } from '../../../src/commands/demo/provider.ts';
import { demoToken } from '../../../src/commands/token.ts';
import type { Config } from '../../../src/config.ts';
import type { Envoy } from '../../../src/envoy/launch.ts';
import { gateAddress } from '../../../src/gateway/front.ts';
import type { Asked } from './ask.ts';
import { eventually, freePort, type JournalLine, readConfig, readLines, startEnvoy, writeConfig } from './stack.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export interface GateProcess {
  readonly config: Config;
  /** Starts it (again, on the same folder); resolves once it is ready. */
  start(): Promise<void>;
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGHUP'): void;
  /** Exit code, or the signal that ended it. */
  exited(): Promise<number | NodeJS.Signals>;
  /** Status of its own `/readyz`; undefined when nobody answers. */
  readyz(): Promise<number | undefined>;
  /** What it wrote on stderr since its last start. */
  readonly said: string;
  journal(): Promise<JournalLine[]>;
}

export interface Fleet extends Asked {
  readonly gates: readonly GateProcess[];
  readonly model: Upstream;
  readonly envoy: Envoy;
  close(): Promise<void>;
}

export interface FleetOptions {
  readonly gates: number;
  /** Sections of sallyport.yaml over those that the fleet needs. */
  readonly config?: object;
  /** File name → policy text; default: as of a stack. */
  readonly policies?: Readonly<Record<string, string>>;
}

/** So many gateways, which share their plan key when there are several, an Envoy in front, a model behind. */
export async function startFleet({ gates: count, config = {}, policies }: FleetOptions): Promise<Fleet> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-fleet-'));
  const provider = await startDemoProvider({ port: 0, stateDir: join(dir, 'idp') });
  const model = await startUpstream();
  writeFileSync(join(dir, 'plan.key'), Buffer.alloc(32, 9).toString('base64url'), { mode: 0o600 });
  const shared = count > 1 ? { planKeyFiles: ['../plan.key'] } : {};
  const gates: GateProcess[] = [];
  for (let n = 0; n < count; n++) {
    const folder = join(dir, `gate-${n}`);
    mkdirSync(folder);
    const listen = { grpc: 'unix:gate.sock', public: '127.0.0.1:0', internal: `127.0.0.1:${await freePort()}` };
    const file = writeConfig(folder, provider.url, model.port, {
      config: { listen, ...shared, ...config },
      ...(policies && { policies }),
    });
    gates.push(gateProcess(readConfig(file)));
  }
  await Promise.all(gates.map((gate) => gate.start()));
  const [first, ...others] = gates.map((gate) => gateAddress(gate.config));
  const { envoy, port } = await startEnvoy({
    dir,
    gates: [first!, ...others],
    modelPort: model.port,
    onLine: () => {},
  });
  return {
    gates,
    model,
    envoy,
    url: `http://127.0.0.1:${port}`,
    token: (who) => demoToken(provider.url, who),
    close: async () => {
      await envoy.stop(0);
      for (const gate of gates) gate.signal('SIGKILL');
      await Promise.all(gates.map((gate) => gate.exited()));
      await model.close();
      await provider.close();
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

function gateProcess(config: Config): GateProcess {
  let child: ChildProcess | undefined;
  let said = '';
  let exited: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  const readyz = async (): Promise<number | undefined> => {
    const { host, port } = config.listen.internal;
    const response = await fetch(`http://${host}:${port}/readyz`).catch(() => undefined);
    await response?.arrayBuffer();
    return response?.status;
  };
  return {
    config,
    start: async () => {
      said = '';
      const running = spawn(process.execPath, [MAIN, 'serve', '--config', config.file], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child = running;
      running.stderr.on('data', (part: Buffer) => {
        said += part.toString();
      });
      exited = new Promise((resolve) => {
        running.once('exit', (code, signal) => resolve(code ?? signal ?? 0));
      });
      await eventually(
        async () => {
          if (running.exitCode !== null) throw new Error(`the gateway ended: ${said}`);
          return (await readyz()) === 200 ? true : undefined;
        },
        'a gateway process that is ready',
        30_000,
      );
    },
    signal: (name) => {
      child?.kill(name);
    },
    exited: () => exited,
    readyz,
    get said() {
      return said;
    },
    journal: () => readLines(config),
  };
}
