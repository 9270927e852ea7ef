/** The policies' wiring: where they come from, what goes on the record and into metrics of them, when they are renewed. */
import { join, resolve } from 'node:path';
import { type Config, shownPath } from '../config.ts';
import type { Model } from '../models/model.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { PolicySet } from '../policy/decision.ts';
import { folderOrigin } from '../policy/folder.ts';
import { gitOrigin } from '../policy/git/origin.ts';
import { compileInSlices, type LoadOptions } from '../policy/load.ts';
import { formatProblem } from '../policy/problem.ts';
import { pushOrigin } from '../policy/push.ts';
import { type Origin, openPolicySource, type PolicyChange, type PolicySource } from '../policy/source.ts';
import { watchPolicies } from '../policy/watch.ts';
import type { PolicyEvent, Recorder } from '../record/events.ts';
import { GatewayRefused } from './refused.ts';
import { newSession, nowMs } from './request.ts';
import { secretReader } from './secrets.ts';

export interface PolicyNeeds {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** What rules are compiled against: the models that were loaded at the start, and what else they may name. */
  readonly compile: Omit<LoadOptions, 'commit'> & { readonly models: readonly Model[] };
  /** Called before a set comes into force. */
  readonly prepare: (set: PolicySet) => Promise<void>;
}

export interface OpenedPolicies {
  readonly source: PolicySource;
  /** Puts what is in force on the record, and renews it from now on. Rejects when it cannot be put there. */
  start(kept: { readonly recorder: Recorder; readonly metrics: Metrics }): Promise<RunningPolicies>;
}

export interface RunningPolicies {
  stop(): Promise<void>;
}

/** What is in force is put on the record again this often: it must not expire before what cites it (store/rows.ts). */
const AGAIN_MS = 24 * 3_600_000;
/** How often that is looked at. */
const AGAIN_LOOK_MS = 60_000;
/** Problems of one refused set that are logged, and that go on the record. */
const LOGGED_PROBLEMS = 10;
const RECORDED_PROBLEMS = 100;
/** Text in one event, characters: a larger set is several, so that none holds the event loop for long. */
const EVENT_CHARACTERS = 65_536;

/** Loads the policies for the first time. Throws GatewayRefused, with every problem. */
export async function openPolicies(needs: PolicyNeeds): Promise<OpenedPolicies> {
  const { config, log, compile } = needs;
  let kept: { readonly recorder: Recorder; readonly metrics: Metrics } | undefined;
  const opened = await openPolicySource({
    origin: originOf(needs),
    compile: (files, commit) => compileInSlices(files, { ...compile, commit }),
    nowMs,
    changing: async (change) => {
      if (change.action === 'loaded') await needs.prepare(change.set);
      tell(log, change);
      // Before there is a record, nothing is decided: `start` records what was loaded first.
      if (kept === undefined) return;
      await record(kept.recorder, change);
      if (change.action === 'loaded') show(kept.metrics, change, nowMs());
    },
    tried: (outcome) => kept?.metrics.policyReload(outcome),
  });
  if (!opened.ok) {
    const isFolder = config.policies.source === 'dir';
    const shown = (file: string) => (isFolder ? shownPath(resolve(config.policies.dir, file)) : file);
    const lines = opened.problems.map((problem) => `  ${formatProblem({ ...problem, file: shown(problem.file) })}`);
    const from = isFolder ? '' : ` (from ${placeOf(config)})`;
    throw new GatewayRefused(`the policies are wrong${from}:\n${lines.join('\n')}`);
  }
  const { source } = opened;
  return {
    source,
    start: async (record_) => {
      kept = record_;
      const { recorder, metrics } = record_;
      const again = (): Promise<void> => record(recorder, inForce(source));
      await again();
      show(metrics, inForce(source), source.status.loadedAtMs);
      let recordedAtMs = nowMs();
      const failed = (error: unknown) =>
        log.error('the policies could not be renewed; those in force stay', { part: 'policies', error });
      const watches = [
        watchPolicies({
          changed: async () => nowMs() - recordedAtMs >= AGAIN_MS,
          reload: async () => {
            await again();
            recordedAtMs = nowMs();
          },
          intervalMs: AGAIN_LOOK_MS,
          failed,
        }),
      ];
      const intervalMs =
        config.policies.source === 'git' ? config.policies.git?.interval : config.policies.reload.interval;
      if (intervalMs !== undefined)
        watches.push(
          watchPolicies({ changed: () => source.changed(), reload: () => source.reload(), intervalMs, failed }),
        );
      return {
        stop: async () => {
          source.close();
          await Promise.all(watches.map((watch) => watch.stop()));
        },
      };
    },
  };
}

function originOf({ config, environment }: PolicyNeeds): Origin {
  const { policies, stateDir } = config;
  const folder = folderOrigin(policies.dir);
  const kept = join(stateDir, 'policies');
  switch (policies.source) {
    case 'dir':
      return folder;
    case 'push':
      return pushOrigin({ file: join(kept, 'pushed.ndjson'), seed: folder });
    case 'git': {
      const { git } = policies;
      if (git === undefined) throw new GatewayRefused('policies.git is missing.');
      const read = secretReader(environment);
      const { credential } = git;
      const password = credential === undefined ? undefined : () => read(credential);
      return gitOrigin({ ...git, dir: join(kept, 'git'), password, nowMs });
    }
  }
}

/** For people: the folder or the repository. */
export function placeOf({ policies }: Pick<Config, 'policies'>): string {
  return policies.source === 'git' ? (policies.git?.url ?? '') : shownPath(policies.dir);
}

const inForce = ({ current, snapshot, status }: PolicySource): PolicyChange & { readonly action: 'loaded' } => ({
  action: 'loaded',
  source: status.source,
  set: current,
  snapshot,
});

function show(metrics: Metrics, { set }: PolicyChange & { readonly action: 'loaded' }, atMs: number): void {
  metrics.policies({ revision: set.revision, commit: set.commit ?? '', atMs });
}

function tell(log: Log, change: PolicyChange): void {
  const part = `policies from ${change.source}`;
  if (change.action === 'loaded') {
    const { set, snapshot } = change;
    log.info('policies come into force', { part, revision: set.revision, ...(set.commit && { path: set.commit }) });
    for (const line of [...(snapshot.notes ?? []), ...(snapshot.stale === undefined ? [] : [snapshot.stale])])
      log.warn('something about the policies should be looked at', { part, line });
    return;
  }
  const { problems } = change;
  log.error('policies were refused; those in force stay', { part, count: problems.length });
  for (const problem of problems.slice(0, LOGGED_PROBLEMS))
    log.error('what is wrong with the policies', { part, line: formatProblem(problem) });
}

/** Resolves once it is durable. The whole text, in as many events as it takes. */
async function record(recorder: Recorder, change: PolicyChange): Promise<void> {
  const base = {
    type: 'policy',
    session: newSession(),
    at: nowMs(),
    action: change.action,
    source: change.source,
  } as const;
  if (change.action === 'refused') {
    const problems = change.problems.slice(0, RECORDED_PROBLEMS).map(formatProblem);
    recorder.event({ ...base, revision: '', commit: '', by: change.by, files: {}, part: 1, parts: 1, problems });
  } else {
    const { set, snapshot } = change;
    const about = { revision: set.revision, commit: set.commit ?? '', by: snapshot.by, problems: [] };
    const parts = partsOf(snapshot.files);
    for (const [index, files] of parts.entries()) {
      const event: PolicyEvent = { ...base, ...about, files, part: index + 1, parts: parts.length };
      recorder.event(event);
      // So that other events are not kept waiting, nor more than one part held in memory unwritten.
      await recorder.written();
    }
  }
  await recorder.durable();
}

/** At least one, as there is no set without a file. */
function partsOf(files: PolicySource['snapshot']['files']): Record<string, string>[] {
  const parts: Record<string, string>[] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const { path, text } of files) {
    if (characters + text.length > EVENT_CHARACTERS) {
      parts.push({});
      characters = 0;
    }
    Object.assign(parts.at(-1)!, { [path]: text });
    characters += text.length;
  }
  return parts;
}
