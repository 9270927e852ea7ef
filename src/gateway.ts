/** Composition: builds every part from the config, starts it, drains and stops it. Only main and the commands import it. */
import { readFileSync } from 'node:fs';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { httpFacts } from './checkpoint/record.ts';
import { createCheckpoint } from './checkpoint.ts';
import { adminSocket, type Config, environment, sharesSessions, shownPath } from './config.ts';
import { createAdminApp } from './console/admin.ts';
import { createInternalApp } from './console/internal.ts';
import { listenTcp, listenUnix } from './console/listen.ts';
import { createOauthApp } from './console/oauth.ts';
import { createPublicApp } from './console/public.ts';
import { type AuthzObserver, createAuthz, type EdgeRefusal } from './envoy/authz.ts';
import { type PlanKeys, UsedPlans } from './envoy/plan.ts';
import { loadPlanKeys } from './envoy/plan-keys.ts';
import { createProc } from './envoy/proc.ts';
import type { ProcObserver } from './envoy/proc-options.ts';
import { type GrpcServer, type GrpcTls, startGrpcServer } from './envoy/server.ts';
import { NOTHING_DELIVERED, OpenSessions } from './envoy/sessions.ts';
import { oauthSources, revokerOf } from './gateway/credentials.ts';
import { gateAddress, startFront, verifiedByEnvoy } from './gateway/front.ts';
import { LateWork } from './gateway/late.ts';
import { limitStage } from './gateway/limits.ts';
import { loadParts, type Parts } from './gateway/parts.ts';
import { policyPusher, pushApps } from './gateway/policy-push.ts';
import { openRecord, type RecordParts } from './gateway/record.ts';
import { GatewayRefused } from './gateway/refused.ts';
import { newSession, nowMs, refuse, requestStages } from './gateway/request.ts';
import type { RunningGateway, StartOptions } from './gateway/running.ts';
import { internalParts } from './gateway/status.ts';
import type { Log } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import type { JournalDisk } from './record/disk.ts';

/** What a test may put in place of the machine: a disk that fails. */
export interface GatewayExtras {
  readonly disk?: JournalDisk;
}

/** `up` is for one machine, and its Ctrl-C is meant now: live streams get this long, milliseconds. */
const UP_DRAIN_MS = 3_000;

/** While going down, requests are still answered for this long: Envoy's health checks say so meanwhile, and it goes elsewhere. */
const LINGER_MS = 5_000;

export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** Starts the gateway; resolves once it is ready. Rejects with what had been started stopped again. */
export async function startGateway(
  config: Config,
  options: StartOptions,
  extras: GatewayExtras = {},
): Promise<RunningGateway> {
  const stops: (() => Promise<void> | void)[] = [];
  try {
    return await start(config, options, extras, stops);
  } catch (error) {
    for (const stop of stops.reverse()) await stop();
    throw error;
  }
}

async function start(
  config: Config,
  { log, envoyBin, onProgress }: StartOptions,
  extras: GatewayExtras,
  stops: (() => Promise<void> | void)[],
): Promise<RunningGateway> {
  // `listen.tls` names no certificate for Envoy to present: ours reaches the gateway on this machine without one.
  if (envoyBin !== undefined && config.listen.tls !== undefined)
    throw new GatewayRefused(
      `${shownPath(config.file)}: listen.tls is for an Envoy elsewhere (\`sallyport serve\`). The Envoy that \`up\` runs is on this machine: leave listen.tls out, and listen.grpc on a Unix socket or the loopback.`,
    );
  await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  await chmod(config.stateDir, 0o700);
  const metrics = createMetrics({ version, node: process.version });
  const parts = await loadParts(config, environment(), log, metrics);
  stops.push(() => parts.close());
  onProgress(`Policies ${parts.policies.current.revision}, ${parts.models.list().length} model(s)`);
  const record = await openRecord({ config, environment: environment(), log, metrics, disk: extras.disk });
  stops.push(() => record.close());
  onProgress(
    config.store.engine === 'embedded' ? 'Journal, and the embedded ClickHouse engine' : 'Journal, and ClickHouse',
  );
  const policies = await parts.startPolicies({ recorder: record.journal, metrics });
  stops.push(() => policies.stop());
  const planKeys = {
    ...loadPlanKeys(config.planKeyFiles, join(config.stateDir, 'plan.key')),
    names: parts.bodies.names,
  };
  const state = { draining: false, live: 0 };
  const gates = await startGates({ config, parts, record, planKeys, log, metrics, state });
  stops.push(() => gates.close());
  const listeners = await startListeners({ config, record, parts, log, metrics, state });
  stops.push(() => listeners.close());
  onProgress(`Gates on ${gates.server.address}`);
  const gate = gateAddress(config, gates.server.address);
  const front = envoyBin === undefined ? undefined : await startFront(envoyBin, config, parts.models.list(), gate, log);
  if (front !== undefined) onProgress(`Envoy on http://${config.listen.envoy.host}:${config.listen.envoy.port}`);
  return {
    addresses: {
      grpc: gates.server.address,
      ...listeners.addresses,
      ...(front === undefined ? {} : { envoy: `http://${config.listen.envoy.host}:${config.listen.envoy.port}` }),
    },
    failed: front?.failed ?? new Promise(() => {}),
    reload: async () => {
      await parts.content.reload();
      await parts.policies.reload().catch(() => undefined);
    },
    close: async () => {
      state.draining = true;
      // Our own Envoy stops taking requests first; one that is not ours hears of it by its health checks.
      if (front !== undefined) await front.envoy.stop(Math.min(config.drainTimeout, UP_DRAIN_MS));
      else await gates.drain(config.drainTimeout);
      for (const stop of stops.reverse()) await stop();
    },
  };
}

interface GateParts {
  readonly config: Config;
  readonly parts: Parts;
  readonly record: RecordParts;
  readonly planKeys: PlanKeys;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly state: { draining: boolean; live: number };
}

interface Gates {
  readonly server: GrpcServer;
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

async function startGates(gateParts: GateParts): Promise<Gates> {
  const { config, parts, record, planKeys, log, state } = gateParts;
  const recorder = record.journal;
  const late = new LateWork({
    failed: (session, error) => log.error('what a request says could not be put on the record', { session, error }),
  });
  const limits = limitStage(parts.limiter);
  const sessions = new OpenSessions(recorder, nowMs, sharesSessions(config), (plan, ending) => {
    late.forget(plan.session);
    limits.over(plan, ending);
  });
  const checkpoint = createCheckpoint(
    requestStages({
      identifier: parts.identity.identifier,
      assertion: (caller, audience) => parts.identity.issuer.assertion(caller, audience),
      models: parts.models,
      policies: parts.policies,
      bodies: parts.bodies,
      recorder,
      log,
      dispatched: (plan, watched) => sessions.dispatched(plan, watched),
      filters: parts.content.filters,
      guards: parts.content.guards,
      limits,
      late,
    }),
  );
  const recordRefusal = edgeRecorder(gateParts);
  const check = createAuthz({
    record: recordRefusal,
    checkpoint,
    planKeys,
    refuse,
    newSession,
    takesPeers: verifiedByEnvoy(config).peers,
    observe: authzObserver(gateParts),
    abandoned: (session) => sessions.end(session, { ...NOTHING_DELIVERED, how: 'client_gone' }),
  });
  const process = createProc({
    record: recordRefusal,
    planKeys,
    usedPlans: new UsedPlans(),
    recorder,
    sessions,
    pending: (session) => late.pending(session),
    openBody: (plan, framing, how) =>
      parts.bodies.response(plan.format, framing, plan.mask, { ...how, operators: plan.operators?.response }),
    maskRequest: (plan, body) =>
      parts.bodies.maskedRequest(plan.format, body, plan.maskRequest, plan.operators?.request),
    maskText: (text) => parts.bodies.text(text),
    refuse,
    newSession,
    nowMs,
    observe: procObserver(gateParts),
  });
  const { grpc } = config.listen;
  const server = await startGrpcServer(
    {
      listen: grpc.kind === 'unix' ? `unix:${grpc.path}` : `${grpc.host}:${grpc.port}`,
      tls: await readTls(config),
      maxRequestBytes: config.maxRequestBytes,
    },
    { check, process, serving: () => !state.draining && recorder.state === 'open' },
  );
  return {
    server,
    drain: async (timeoutMs) => {
      const until = performance.now() + Math.min(LINGER_MS, timeoutMs);
      while (server.connections > 0 && performance.now() < until) await delay(50);
      await Promise.race([server.finish(), delay(timeoutMs)]);
    },
    close: async () => {
      server.close();
      sessions.close();
      await late.idle();
    },
  };
}

/** What the edge refuses goes on the record as well, as long as there is one to write. */
function edgeRecorder({ parts, record: { journal } }: GateParts): (refusal: EdgeRefusal) => void {
  const maskText = (text: string): string => parts.bodies.text(text);
  return ({ session, code, status, detail, request }) => {
    if (journal.state !== 'open' && journal.state !== 'full') return;
    const http = httpFacts(request, maskText);
    // An upgrade's name is the caller's own words.
    const masked = maskText(detail.slice(0, 512));
    journal.event({
      type: 'refused',
      session,
      at: nowMs(),
      code,
      status,
      detail: masked,
      http,
      caller: undefined,
      count: 1,
    });
  };
}

const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });

async function readTls({ listen: { tls } }: Config): Promise<GrpcTls | undefined> {
  if (tls === undefined) return undefined;
  const read = (file: string): Promise<Buffer> =>
    readFile(file).catch((error: NodeJS.ErrnoException) => {
      throw new GatewayRefused(`listen.tls: ${shownPath(file)} cannot be read (${error.code}).`);
    });
  return {
    ca: await read(tls.clientCa),
    cert: await read(tls.cert),
    key: await read(tls.key),
    allowedIdentities: tls.allowedClients,
  };
}

function authzObserver({ log, metrics }: GateParts): AuthzObserver {
  return {
    answered: (code, seconds) => {
      const verdict = VERDICTS.get(code) ?? 'refuse';
      metrics.request(verdict, verdict === 'deny' || verdict === 'refuse' ? code : '');
      metrics.gate(verdict, seconds * 1e6);
    },
    misconfigured: (field, session) =>
      log.error('Envoy is not configured as the gate needs it: see `sallyport envoy check`', { session, path: field }),
    broken: (error) => log.error('the request gate has a bug; the caller got 503', { error }),
  };
}

const VERDICTS: ReadonlyMap<string, 'allow' | 'answer' | 'deny'> = new Map([
  ['forward', 'allow'],
  ['ok', 'answer'],
  ['policy_denied', 'deny'],
  ['no_rule_allows', 'deny'],
  ['policy_error', 'deny'],
  ['approval_required', 'deny'],
  ['rate_limit_exceeded', 'deny'],
]);

function procObserver({ log, metrics, state }: GateParts): ProcObserver {
  return {
    streamOpened: () => {
      state.live++;
    },
    streamClosed: () => {
      state.live--;
    },
    chunk: (bytesIn, bytesOut) => metrics.chunk(bytesIn, bytesOut),
    masked: (detector, count) => metrics.masked(detector, count),
    planRefused: (why) => log.error('a plan was refused: nothing was let through', { part: 'ext_proc', code: why }),
    localReply: () => {},
    ended: (how) => metrics.stream(how),
    failed: (session, code, error) =>
      log.error('a response was stopped', {
        part: 'ext_proc',
        code,
        error,
        ...(session === undefined ? {} : { session }),
      }),
  };
}

interface Listeners {
  readonly addresses: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

async function startListeners(gateParts: Omit<GateParts, 'planKeys'>): Promise<Listeners> {
  const { config, record, parts, log, metrics, state } = gateParts;
  metrics.watch({
    liveStreams: () => state.live,
    journalBytes: () => record.journal.gauges().bytes,
    journalOpen: () => record.journal.state === 'open',
    shipperLagMs: () => record.shipper.gauges().lagMs,
    shipperPending: () => record.shipper.gauges().events,
  });
  const internal = createInternalApp({
    version,
    parts: internalParts(config, record, parts),
    tolerated: ['store', 'keys', 'saml'],
    draining: () => state.draining,
    metrics: { contentType: metrics.contentType, text: () => metrics.text() },
  });
  const opened: { url: string; close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((listener) => listener.close()));
  };
  const maskText = (text: string): string => parts.bodies.text(text);
  const credentials = { config, identity: parts.identity, recorder: record.journal, maskText, log };
  try {
    const sources = oauthSources(credentials);
    const pusher = policyPusher(config, parts.policies);
    const publicParts = [createOauthApp(sources), ...pushApps({ ...credentials, sources, pusher })];
    opened.push(
      await listenTcp(createPublicApp({ version, publicUrl: config.publicUrl }, ...publicParts), config.listen.public),
    );
    opened.push(await listenTcp(internal, config.listen.internal));
    opened.push(await listenUnix(createAdminApp(record.archive, revokerOf(credentials), pusher), adminSocket(config)));
  } catch (error) {
    await close();
    throw error;
  }
  const [publicUrl = '', internalUrl = '', admin = ''] = opened.map(({ url }) => url);
  return { addresses: { public: publicUrl, internal: internalUrl, admin }, close };
}
