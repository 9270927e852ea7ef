/**
 * The plan travels from the request gate to the response gate in Envoy's dynamic metadata. The response gate trusts it
 * only with our HMAC-SHA256 (RFC 2104), fresh, for this request and this cluster, once.
 */
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Plan } from '../checkpoint/stages.ts';
import type { CompactOperators, DetectorNames } from '../mask/detector-names.ts';
import type { Operators } from '../mask/operators.ts';

const VERSION = 1;

/** Signs with the first key, accepts any: rotation adds the new key behind, swaps, then removes the old one. */
export interface PlanKeys {
  /** How the detectors of a plan are named: Envoy sends it along with each chunk. Default: each by its id. */
  readonly names?: DetectorNames;
  /** Key objects, not bytes: Node imports the bytes anew for each HMAC, which takes four times as long as the HMAC. */
  readonly keys: readonly [KeyObject, ...KeyObject[]];
}

function mac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sealPlan(plan: Plan, { keys, names }: PlanKeys): string {
  const sent = names === undefined ? plan : { ...plan, ...withNames(plan, names) };
  const text = Buffer.from(JSON.stringify({ v: VERSION, ...sent }), 'utf8').toString('base64url');
  return `${text}.${mac(keys[0], text).toString('base64url')}`;
}

export type PlanRefusal =
  | 'missing'
  | 'malformed'
  | 'forged'
  | 'version'
  | 'other_detectors'
  | 'stale'
  | 'other_request'
  | 'other_cluster'
  | 'fixed_route'
  | 'unwatched'
  | 'unmasked'
  | 'replayed';
export type PlanOpening =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly why: PlanRefusal };

/** Freshness when the stream opens: clocks of replicas may differ by this much, milliseconds either way. */
export const PLAN_FRESH_MS = 30_000;

/** What Envoy itself says of the stream that presents the plan. */
export interface StreamFacts {
  readonly nowMs: number;
  /** Attribute `request.id`. */
  readonly requestId: string | undefined;
  /** Attribute `xds.cluster_name`; undefined where there is no route yet. */
  readonly cluster: string | undefined;
}

export function openPlan(sealed: string | undefined, { keys, names }: PlanKeys, stream: StreamFacts): PlanOpening {
  if (sealed === undefined || sealed === '') return { ok: false, why: 'missing' };
  const dot = sealed.lastIndexOf('.');
  if (dot < 0) return { ok: false, why: 'malformed' };
  const text = sealed.slice(0, dot);
  const given = Buffer.from(sealed.slice(dot + 1), 'base64url');
  if (given.length !== 32) return { ok: false, why: 'malformed' };
  if (!keys.some((key) => timingSafeEqual(mac(key, text), given))) return { ok: false, why: 'forged' };
  const { v, ...sent } = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Plan & { v: number };
  if (v !== VERSION) return { ok: false, why: 'version' };
  const read = names === undefined ? {} : withIds(sent, names);
  if (read === undefined) return { ok: false, why: 'other_detectors' };
  const plan = { ...ABSENT, ...sent, ...read };
  if (Math.abs(stream.nowMs - plan.issuedAtMs) > PLAN_FRESH_MS) return { ok: false, why: 'stale' };
  if (stream.requestId !== plan.requestId) return { ok: false, why: 'other_request' };
  // A request that is to be masked has no route before that, whatever becomes of the order to buffer its body.
  if (plan.maskRequest.length > 0) return stream.cluster ? { ok: false, why: 'fixed_route' } : { ok: true, plan };
  if (stream.cluster !== plan.cluster) return { ok: false, why: 'other_cluster' };
  return { ok: true, plan };
}

function withNames({ mask, maskRequest, operators }: Plan, names: DetectorNames): object {
  const grouped = operators && {
    request: names.compactOperators(operators.request),
    response: names.compactOperators(operators.response),
  };
  return { mask: names.compact(mask), maskRequest: names.compact(maskRequest), ...(grouped && { operators: grouped }) };
}

/** Undefined: another build of the gateway means other detectors by these names. */
function withIds(sent: Plan, names: DetectorNames): Partial<Plan> | undefined {
  const mask = names.expand(sent.mask);
  const maskRequest = names.expand(sent.maskRequest ?? []);
  const request = asOperators(sent.operators?.request, names);
  const response = asOperators(sent.operators?.response, names);
  if (mask === undefined || maskRequest === undefined || request === undefined || response === undefined)
    return undefined;
  return { mask, maskRequest, ...(sent.operators && { operators: { request, response } }) };
}

const asOperators = (sent: Operators | CompactOperators | undefined, names: DetectorNames): Operators | undefined =>
  isCompact(sent) ? names.expandOperators(sent) : (sent ?? {});

const isCompact = (sent: Operators | CompactOperators | undefined): sent is CompactOperators => Array.isArray(sent);

/** What a replica of the version before does not send. */
const ABSENT: Pick<Plan, 'reservations' | 'maskRequest' | 'tokens' | 'opaque' | 'watched'> = {
  reservations: [],
  maskRequest: [],
  tokens: 0,
  opaque: false,
  watched: false,
};

/** Sessions whose plan has been used; a second stream with the same plan is a replay. Bounded by the freshness window. */
export class UsedPlans {
  private current = new Set<string>();
  private previous = new Set<string>();
  private turnedAtMs = 0;

  /** True the first time; the memory is kept for at least twice PLAN_FRESH_MS. */
  use(session: string, nowMs: number): boolean {
    if (nowMs - this.turnedAtMs > 2 * PLAN_FRESH_MS) {
      this.previous = this.current;
      this.current = new Set();
      this.turnedAtMs = nowMs;
    }
    if (this.current.has(session) || this.previous.has(session)) return false;
    this.current.add(session);
    return true;
  }
}
