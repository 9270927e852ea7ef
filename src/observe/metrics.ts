import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Values that are read when somebody scrapes. */
export interface Gauges {
  /** Response streams that are open now. */
  liveStreams(): number;
  /** Bytes of the journal folder on disk. */
  journalBytes(): number;
  /** True while the journal takes events; while it is false nothing passes. */
  journalOpen(): boolean;
  /** Age in milliseconds of the oldest event that is not in the store yet; 0 when all are. */
  shipperLagMs(): number;
  /** Events that are not in the store yet. */
  shipperPending(): number;
}

/** What the gateway counts. One object a process, passed on by the gateway; its registry is its own. */
export interface Metrics {
  /** A request was answered by the request gate. `code`: row of the error table, empty for a yes. */
  request(verdict: 'allow' | 'deny' | 'refuse' | 'answer', code: string): void;
  /** Time in the request gate, microseconds. */
  gate(verdict: 'allow' | 'deny' | 'refuse' | 'answer', us: number): void;
  /** A response body ended; `how` as in the end event. */
  stream(how: string): void;
  /** A chunk of a response was released: bytes in, bytes out. */
  chunk(bytesIn: number, bytesOut: number): void;
  masked(detector: string, count: number): void;
  /** What a limiter did: see LimitsObserver; `closed`, `local` and `open` are what was done without the counters. */
  limit(what: 'reserved' | 'refused' | 'settled' | 'released' | 'stands' | 'closed' | 'local' | 'open'): void;
  /** A guard was asked, or its answer was known (`how`); `outcome`: flagged, clean, or why it failed. */
  guard(guard: string, outcome: string, how: string, ms: number): void;
  /** One group commit of the journal: how long fdatasync took, how many events it made durable. */
  commit(us: number, events: number): void;
  /** These policies are in force since then (epoch milliseconds). `commit` may be empty. */
  policies(inForce: { readonly revision: string; readonly commit: string; readonly atMs: number }): void;
  /** Somebody tried to renew the policies. */
  policyReload(outcome: 'loaded' | 'same' | 'refused'): void;
  /** The content filters were read: these are in force now, or stay. */
  filters(
    read:
      | { readonly outcome: 'loaded' | 'same'; readonly revision: string; readonly entries: number }
      | { readonly outcome: 'refused' },
  ): void;
  /** Reads these at each scrape. Called once. */
  watch(gauges: Gauges): void;
  /** All metrics in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

const gateBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
const commitBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1];

/**
 * Makes the metrics. Labels take values from closed sets of ours (verdicts, error codes, detectors), never from a request:
 * the number of series is bounded.
 */
export function createMetrics(build: { readonly version: string; readonly node: string }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `sallyport_${name}`, help, labelNames: [...labelNames], registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram({ name: `sallyport_${name}`, help, labelNames: [...labelNames], buckets, registers });

  const requests = counter('requests_total', 'Requests answered by the request gate.', ['verdict', 'code']);
  const gate = histogram('gate_seconds', 'Time in the request gate.', ['verdict'], gateBuckets);
  const streams = counter('responses_total', 'Response bodies, by how they ended.', ['how']);
  const released = countChunks(registry);
  const masked = counter('masked_total', 'Matches masked in what was delivered.', ['detector']);
  const guards = counter('guard_checks_total', 'Checks by guards.', ['guard', 'outcome', 'how']);
  const guardTimes = histogram('guard_seconds', 'Time of a check by a guard.', ['guard'], gateBuckets);
  const limits = counter(
    'limits_total',
    'Limited requests: reserved or refused; then settled, released, or left as reserved (stands). Without the counters: closed, local, open.',
    ['what'],
  );
  const commits = histogram('journal_commit_seconds', 'Time of one fdatasync of the journal.', [], commitBuckets);
  const committed = counter('journal_events_total', 'Events made durable.', []);
  new Gauge({
    name: 'sallyport_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node'],
    registers,
  }).set(build, 1);

  return {
    request: (verdict, code) => requests.inc({ verdict, code }),
    gate: (verdict, us) => gate.observe({ verdict }, us / 1e6),
    stream: (how) => streams.inc({ how }),
    chunk: released,
    masked: (detector, count) => masked.inc({ detector }, count),
    limit: (what) => limits.inc({ what }),
    guard: (name, outcome, how, ms) => {
      guards.inc({ guard: name, outcome, how });
      if (how === 'asked') guardTimes.observe({ guard: name }, ms / 1000);
    },
    commit(us, events) {
      commits.observe(us / 1e6);
      committed.inc(events);
    },
    ...countPolicies(registry),
    filters: countFilters(registry),
    watch: (gauges) => watch(registry, gauges),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Counted in plain numbers, as there are many, and handed on at a scrape. */
function countChunks(registry: Registry): Metrics['chunk'] {
  const since = { chunks: 0, model: 0, caller: 0 };
  new Counter({
    name: 'sallyport_chunks_total',
    help: 'Response chunks released.',
    registers: [registry],
    collect() {
      this.inc(since.chunks);
      since.chunks = 0;
    },
  });
  new Counter({
    name: 'sallyport_response_bytes_total',
    help: 'Response bytes: from the model, and released to the caller.',
    labelNames: ['side'],
    registers: [registry],
    collect() {
      for (const side of ['model', 'caller'] as const) {
        this.inc({ side }, since[side]);
        since[side] = 0;
      }
    },
  });
  return (bytesIn, bytesOut) => {
    since.chunks++;
    since.model += bytesIn;
    since.caller += bytesOut;
  };
}

function countPolicies(registry: Registry): Pick<Metrics, 'policies' | 'policyReload'> {
  const registers = [registry];
  const info = new Gauge({
    name: 'sallyport_policy_info',
    help: 'Always 1; the labels say which policies are in force.',
    labelNames: ['revision', 'commit'],
    registers,
  });
  const since = new Gauge({
    name: 'sallyport_policy_last_reload_timestamp_seconds',
    help: 'When the policies in force came into force, seconds since 1970.',
    registers,
  });
  const reloads = new Counter({
    name: 'sallyport_policy_reloads_total',
    help: 'Tries to renew the policies: loaded, the same as before, refused (the old ones stay).',
    labelNames: ['outcome'],
    registers,
  });
  return {
    policies({ revision, commit, atMs }) {
      // One series: the one before it is over.
      info.reset();
      info.set({ revision, commit }, 1);
      since.set(atMs / 1000);
    },
    policyReload: (outcome) => reloads.inc({ outcome }),
  };
}

function countFilters(registry: Registry): Metrics['filters'] {
  const registers = [registry];
  const info = new Gauge({
    name: 'sallyport_filters_entries',
    help: 'Words, phrases and patterns of the content filters in force; the label says which lists they are.',
    labelNames: ['revision'],
    registers,
  });
  const reloads = new Counter({
    name: 'sallyport_filter_reloads_total',
    help: 'Tries to read the content filters: loaded, the same as before, refused (the old ones stay).',
    labelNames: ['outcome'],
    registers,
  });
  return (read) => {
    reloads.inc({ outcome: read.outcome });
    if (read.outcome === 'refused') return;
    info.reset();
    info.set({ revision: read.revision }, read.entries);
  };
}

function watch(registry: Registry, gauges: Gauges): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `sallyport_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('live_streams', 'Response streams open now.', () => gauges.liveStreams());
  gauge('journal_bytes', 'Bytes of the journal on disk.', () => gauges.journalBytes());
  gauge('journal_open', '1 while the journal takes events; 0 closes the gate.', () => (gauges.journalOpen() ? 1 : 0));
  gauge('shipper_lag_seconds', 'Age of the oldest event not in the store yet.', () => gauges.shipperLagMs() / 1000);
  gauge('shipper_pending_events', 'Events not in the store yet.', () => gauges.shipperPending());
}
