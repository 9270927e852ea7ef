/**
 * The policies in force: where they come from, how they are renewed, what was wrong with the last try. A set is compiled
 * whole and then takes the place of the old one in one step; whatever goes wrong on the way leaves the old one in force.
 */
import type { PolicySet } from './decision.ts';
import type { PolicyFile } from './document.ts';
import type { LoadedPolicies } from './load.ts';
import { formatProblem, type Problem } from './problem.ts';

export type OriginKind = 'folder' | 'git' | 'push';

/** The files of a set, as they were read together. */
export interface Snapshot {
  readonly files: readonly PolicyFile[];
  /** Git commit, or undefined. */
  readonly commit: string | undefined;
  /** Who pushed it, or empty. */
  readonly by: string;
  /** Why this is not the newest that there may be: the repository is out of reach, and this is what it last said. */
  readonly stale?: string | undefined;
  /** What an operator should know although it is taken: history that was rewound. */
  readonly notes?: readonly string[];
}

export type OriginRead =
  | { readonly ok: true; readonly snapshot: Snapshot }
  /** Nothing else than what was taken last. */
  | { readonly ok: 'same' }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Where policies come from. */
export interface Origin {
  readonly kind: OriginKind;
  read(): Promise<OriginRead>;
  /** Whether `read` may have something new; cheap. */
  changed(): Promise<boolean>;
  /** What was taken in an earlier run, for a start at which nothing good can be read; left out: nothing is kept. */
  fallback?(): Promise<OriginRead>;
  /** The set made of what was read last is in force now: it is what a restart without the origin may fall back to. */
  taken(snapshot: Snapshot): Promise<void>;
  /** Ends what is under way; it fails. */
  close?(): void;
}

export type PolicyChange =
  | { readonly action: 'loaded'; readonly source: OriginKind; readonly set: PolicySet; readonly snapshot: Snapshot }
  | {
      readonly action: 'refused';
      readonly source: OriginKind;
      readonly by: string;
      readonly problems: readonly Problem[];
    };

/** What `/readyz` and the metrics say. Times are epoch milliseconds. */
export interface PolicyStatus {
  readonly source: OriginKind;
  readonly revision: string;
  readonly commit: string | undefined;
  /** When the set in force came into force. */
  readonly loadedAtMs: number;
  /** Why it may be older than its source, where that is so. */
  readonly stale: string | undefined;
  /** Why the last try to renew it failed, and since when all tries have; undefined when it did not. */
  readonly problem: { readonly text: string; readonly sinceMs: number } | undefined;
}

export interface PolicySource {
  /** The set in force. Take it once a request. */
  readonly current: PolicySet;
  /** What the set in force was made of. */
  readonly snapshot: Snapshot;
  readonly status: PolicyStatus;
  /**
   * Reads and compiles again; a bad set leaves the old one in force. One at a time: calls while one runs share the next one,
   * which begins after it. Rejects when something threw that is no problem of the policies.
   */
  reload(): Promise<Reloaded>;
  /** Puts in force what somebody brings, in turn with the reloads; `prepare` makes the snapshot durable before that. */
  offer(offered: Offered): Promise<OfferOutcome>;
  /** Whether there may be something new to load. */
  changed(): Promise<boolean>;
  /** Ends a read under way, so that nobody waits for it. */
  close(): void;
}

export type Reloaded = LoadedPolicies & { readonly isNew: boolean };

export interface Offered {
  readonly files: readonly PolicyFile[];
  readonly by: string;
  /** The revision that must be in force; undefined: any. */
  readonly expect: string | undefined;
  /** Only says whether it would be taken. */
  readonly dryRun: boolean;
}

export type OfferOutcome =
  | { readonly ok: true; readonly revision: string; readonly isNew: boolean }
  | { readonly ok: false; readonly code: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly code: 'conflict'; readonly revision: string };

export interface SourceParts {
  readonly origin: Origin;
  /** Compiles files that were read; `commit` goes into the set. */
  readonly compile: (
    files: readonly PolicyFile[],
    commit: string | undefined,
  ) => LoadedPolicies | Promise<LoadedPolicies>;
  readonly nowMs: () => number;
  /**
   * Told of every change before it is in force, the first load included. Rejects where it must not come into force (it cannot
   * be put on the record, say): the old set stays.
   */
  readonly changing: (change: PolicyChange) => Promise<void>;
  /** Told of each try. */
  readonly tried: (outcome: 'loaded' | 'same' | 'refused') => void;
}

export type OpenedSource =
  | { readonly ok: true; readonly source: PolicySource }
  | { readonly ok: false; readonly problems: readonly Problem[] };

interface InForce {
  readonly set: PolicySet;
  readonly snapshot: Snapshot;
  readonly loadedAtMs: number;
}

/** Loads for the first time; there is no source without a good set. */
export async function openPolicySource(parts: SourceParts): Promise<OpenedSource> {
  const { origin, changing, tried, nowMs } = parts;
  const first = await readAndCompile(parts, await origin.read());
  if (first.ok) return begin(parts, first);
  const { problems } = first;
  const kept = origin.fallback === undefined ? first : await readAndCompile(parts, await origin.fallback());
  if (!kept.ok) return { ok: false, problems: [...problems, ...(kept === first ? [] : kept.problems)] };
  await changing({ action: 'refused', source: origin.kind, by: '', problems });
  tried('refused');
  const text = problems.map(formatProblem).join('\n');
  const stale = 'it is what was in force before the start, as nothing newer can be taken';
  return begin(parts, { ...kept, snapshot: { ...kept.snapshot, stale } }, { text, sinceMs: nowMs() });
}

type Compiled =
  | { readonly ok: true; readonly set: PolicySet; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly problems: readonly Problem[] };

async function readAndCompile({ compile }: SourceParts, read: OriginRead): Promise<Compiled> {
  if (read.ok !== true) return { ok: false, problems: read.ok === false ? read.problems : [] };
  const loaded = await compile(read.snapshot.files, read.snapshot.commit);
  return loaded.ok ? { ok: true, set: loaded.set, snapshot: read.snapshot } : loaded;
}

async function begin(
  parts: SourceParts,
  { set, snapshot }: Compiled & { readonly ok: true },
  problem?: PolicyStatus['problem'],
): Promise<OpenedSource> {
  const { origin, changing, tried, nowMs } = parts;
  await changing({ action: 'loaded', source: origin.kind, set, snapshot });
  await origin.taken(snapshot);
  tried('loaded');
  return { ok: true, source: new Source(parts, { set, snapshot, loadedAtMs: nowMs() }, problem) };
}

class Source implements PolicySource {
  readonly #parts: SourceParts;
  #inForce: InForce;
  #problem: PolicyStatus['problem'];
  /** Work on the set, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #next: Promise<Reloaded> | undefined;

  constructor(parts: SourceParts, first: InForce, problem: PolicyStatus['problem']) {
    this.#parts = parts;
    this.#inForce = first;
    this.#problem = problem;
  }

  get current(): PolicySet {
    return this.#inForce.set;
  }

  get snapshot(): Snapshot {
    return this.#inForce.snapshot;
  }

  get status(): PolicyStatus {
    const { set, snapshot, loadedAtMs } = this.#inForce;
    const { stale, commit } = snapshot;
    const { kind } = this.#parts.origin;
    return { source: kind, revision: set.revision, commit, loadedAtMs, stale, problem: this.#problem };
  }

  changed(): Promise<boolean> {
    return this.#parts.origin.changed();
  }

  close(): void {
    this.#parts.origin.close?.();
  }

  reload(): Promise<Reloaded> {
    this.#next ??= this.#inTurn(() => {
      this.#next = undefined;
      return this.#reload();
    });
    return this.#next;
  }

  offer(offered: Offered): Promise<OfferOutcome> {
    return this.#inTurn(() => this.#offer(offered));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #reload(): Promise<Reloaded> {
    try {
      const read = await this.#parts.origin.read();
      if (read.ok === 'same') return this.#same();
      if (!read.ok) return await this.#refused(read.problems, '');
      const { snapshot } = read;
      const loaded = await this.#parts.compile(snapshot.files, snapshot.commit);
      if (!loaded.ok) return await this.#refused(loaded.problems, snapshot.by);
      const { set } = loaded;
      const old = this.#inForce;
      const isNew = set.revision !== old.set.revision || set.commit !== old.set.commit;
      if (isNew) await this.#take(set, snapshot);
      else {
        this.#inForce = { ...old, snapshot };
        await this.#parts.origin.taken(snapshot);
        this.#same();
      }
      return { ok: true, set: this.current, isNew };
    } catch (error) {
      this.#noteProblem(error instanceof Error ? error.message : 'the policies could not be loaded');
      this.#parts.tried('refused');
      throw error;
    }
  }

  async #offer({ files, by, expect, dryRun }: Offered): Promise<OfferOutcome> {
    const { revision } = this.current;
    if (expect !== undefined && expect !== revision) return { ok: false, code: 'conflict', revision };
    const loaded = await this.#parts.compile(files, undefined);
    if (!loaded.ok) {
      if (!dryRun) await this.#refused(loaded.problems, by, true);
      return { ok: false, code: 'invalid', problems: loaded.problems };
    }
    const isNew = loaded.set.revision !== revision;
    if (!dryRun && isNew) await this.#take(loaded.set, { files, by, commit: undefined });
    return { ok: true, revision: loaded.set.revision, isNew };
  }

  async #take(set: PolicySet, snapshot: Snapshot): Promise<void> {
    const { origin, changing, tried, nowMs } = this.#parts;
    await origin.taken(snapshot);
    try {
      await changing({ action: 'loaded', source: origin.kind, set, snapshot });
    } catch (error) {
      await origin.taken(this.snapshot);
      throw error;
    }
    this.#inForce = { set, snapshot, loadedAtMs: nowMs() };
    this.#problem = undefined;
    tried('loaded');
  }

  #same(): Reloaded {
    this.#problem = undefined;
    const { snapshot } = this.#inForce;
    if (snapshot.stale !== undefined) this.#inForce = { ...this.#inForce, snapshot: { ...snapshot, stale: undefined } };
    this.#parts.tried('same');
    return { ok: true, set: this.current, isNew: false };
  }

  /** The same complaint again is neither logged nor recorded again. */
  async #refused(problems: readonly Problem[], by: string, always = false): Promise<Reloaded> {
    const { origin, changing, tried } = this.#parts;
    const text = problems.map(formatProblem).join('\n');
    const isKnown = this.#problem?.text === text;
    if (!(by !== '' && always)) this.#noteProblem(text);
    tried('refused');
    if (!isKnown || always) await changing({ action: 'refused', source: origin.kind, by, problems });
    return { ok: false, problems, isNew: false };
  }

  #noteProblem(text: string): void {
    this.#problem = { text, sinceMs: this.#problem?.sinceMs ?? this.#parts.nowMs() };
  }
}
