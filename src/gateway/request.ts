/** The stages of the request gate, made from the config's parts. */
import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { GateRequest, LimitStage, RefuseStage, Stages } from '../checkpoint/stages.ts';
import { forwardHeaders } from '../envoy/forward.ts';
import type { RequestFacts } from '../exchange/facts.ts';
import { readRequest } from '../exchange/formats.ts';
import { LargeBodies } from '../exchange/large-bodies.ts';
import { Abandoned, paced } from '../exchange/pace.ts';
import { refusal } from '../exchange/refusal.ts';
import { refuseTransport } from '../exchange/transport.ts';
import type { Filters, Guard } from '../guard/guard.ts';
import type { Caller, Identifier } from '../identity/caller.ts';
import { findCredential } from '../identity/credential.ts';
import type { Bodies } from '../mask/bodies.ts';
import type { Registry } from '../models/registry.ts';
import type { Log } from '../observe/log.ts';
import type { GuardVerdict } from '../policy/decision.ts';
import type { PolicySource } from '../policy/source.ts';
import type { Recorder } from '../record/events.ts';
import type { LateWork } from './late.ts';
import { createRoute } from './route.ts';

export interface RequestParts {
  readonly identifier: Identifier;
  readonly models: Registry;
  readonly policies: PolicySource;
  readonly bodies: Bodies;
  readonly recorder: Recorder;
  readonly log: Log;
  /** Signs who calls, for an audience. */
  readonly assertion: (caller: Caller, audience: string) => Promise<string>;
  readonly dispatched: Stages['dispatched'];
  /** Those in force. */
  readonly filters: () => Filters | undefined;
  readonly guards: ReadonlyMap<string, Guard>;
  readonly limits: LimitStage;
  readonly late: LateWork;
}

export const refuse: RefuseStage = (about) => refusal(about);
/** Random bytes for ids, fetched for many at a time: the call costs more than the bytes. */
const random = { pool: Buffer.alloc(4096), at: 4096 };

/** A UUIDv7 (RFC 9562): ids sort by time. */
export function newSession(): string {
  if (random.at === random.pool.length) {
    randomFillSync(random.pool);
    random.at = 0;
  }
  const bytes = random.pool.subarray(random.at, random.at + 16);
  random.at += 16;
  return uuidv7({ random: bytes });
}

export const nowMs = (): number => Date.now();

export function requestStages(parts: RequestParts): Stages {
  const { models, bodies, log } = parts;
  const largeBodies = new LargeBodies();
  return {
    refuseTransport,
    findCredential,
    identify: (proof) => parts.identifier.identify(proof),
    route: createRoute(models),
    enter: (request) => largeBodies.enter(request.body.length, request.cancelled),
    read: (request, asked) =>
      readRequest(
        asked,
        {
          contentType: header(request, 'content-type'),
          contentEncoding: header(request, 'content-encoding'),
          query: queryOf(request.path),
        },
        request.body,
        request.cancelled,
      ),
    find: (request, facts) =>
      facts.format === 'opaque'
        ? bodies.opaqueRequest(request.body, facts.text, request.cancelled)
        : bodies.request(facts.format, request.body, request.cancelled),
    filters: parts.filters,
    filter: (filters, request, facts) =>
      filters === undefined ? NO_FILTERS : paced(filters.count(facts.text), request.cancelled),
    guard: (names, request, facts) => askGuards(parts.guards, names, request, facts),
    limits: parts.limits,
    later: (session, bytes, work) => parts.late.plan(session, bytes, work),
    maskText: (text) => bodies.text(text),
    masking: bodies.names,
    policy: () => parts.policies.current,
    recorder: parts.recorder,
    refuse,
    vouch: (caller, { identity }) => (identity === undefined ? undefined : parts.assertion(caller, identity.audience)),
    forward: forwardHeaders,
    newSession,
    nowMs,
    dispatched: parts.dispatched,
    failed: (session, error) => log.error('a stage of the request gate failed; nothing passed', { session, error }),
  };
}

const NO_FILTERS: ReadonlyMap<string, number> = new Map<string, number>();

/** All at once; a guard's own config says how long it may take and what its failure means. */
async function askGuards(
  guards: ReadonlyMap<string, Guard>,
  names: readonly string[],
  { cancelled }: GateRequest,
  facts: RequestFacts,
): Promise<ReadonlyMap<string, GuardVerdict>> {
  if (cancelled?.()) throw new Abandoned();
  const verdicts = await Promise.all(
    names.map(async (name) => {
      const guard = guards.get(name);
      return [name, guard === undefined ? UNKNOWN_GUARD : await guard.check(facts)] as const;
    }),
  );
  return new Map(verdicts);
}
/** Rules are compiled against the guards that there are: this is a bug, and closes. */
const UNKNOWN_GUARD: GuardVerdict = { ok: false, code: 'guard_unknown' };

function queryOf(path: string): string {
  const at = path.indexOf('?');
  return at < 0 ? '' : path.slice(at + 1);
}

function header(request: GateRequest, name: string): string | undefined {
  return request.headers.find(([key]) => key === name)?.[1];
}
