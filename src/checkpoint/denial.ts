/** What the caller is told when the rules or the limits say no. */
import type { ErrorCode } from '../exchange/errors.ts';
import type { RequestFacts } from '../exchange/facts.ts';
import type { Admission } from '../limits/limiter.ts';
import type { Decision } from '../policy/decision.ts';
import type { EndEvent } from '../record/events.ts';
import { endEvent } from './record.ts';
import type { GateRequest, Header, Passage, Reply, Stages } from './stages.ts';

interface Denial {
  readonly code: ErrorCode;
  readonly message?: string;
  readonly format: RequestFacts['format'];
  readonly headers: readonly Header[];
}

/** The longest wait that SDKs obey (openai, anthropic: 60 s), milliseconds. */
const LONGEST_WAIT_MS = 60_000;

/** What the caller is told when the rules or the limits say no; undefined: they say yes. */
export function refusalOf(
  stages: Stages,
  decision: Decision,
  admission: Admission | undefined,
  { format }: RequestFacts,
): Denial | undefined {
  if (decision.verdict === 'deny')
    return { code: denialCode(decision), message: decision.message, format, headers: [] };
  if (decision.verdict === 'requireApproval') {
    const message = decision.demands.map((demand) => demand.message).join(' ');
    return { code: 'approval_required', message, format, headers: [] };
  }
  if (admission === undefined || admission.ok) return undefined;
  const { by, message } = admission;
  const limit = `${by.policy}/${by.rule} of ${by.limit} ${by.unit}`;
  const never = `The request is larger than the whole limit ${limit}: it will never pass as it is.`;
  const words = admission.retryable
    ? (message ?? `The limit ${limit} is used up.`)
    : `${message ?? ''} ${never}`.trim();
  // SDKs leave out waits that are longer than a minute and try at once, unless they are told not to.
  const isSoon = admission.retryable && by.resetMs <= LONGEST_WAIT_MS;
  const headers: Header[] = [...stages.limits.headers(format, admission.states)];
  if (admission.retryable) headers.push(stages.limits.retryAfter(by));
  if (!isSoon) headers.push(['x-should-retry', 'false']);
  return { code: 'rate_limit_exceeded', message: words, format, headers };
}

/** A mask that cannot be put on refuses the request; undefined: there is none, or it can. */
export function whyUnmaskable(decision: Decision, request: GateRequest, { format }: RequestFacts): Denial | undefined {
  if (decision.verdict !== 'allow' || decision.maskRequest.length === 0) return undefined;
  const code = 'request_not_maskable';
  if (format === 'opaque')
    return {
      code,
      message: 'A rule masks this request, and what no format reads cannot be masked.',
      format,
      headers: [],
    };
  // On a fixed route, an Envoy that ignores the order to buffer the body would send it on unmasked.
  if (request.namedModel !== undefined)
    return {
      code,
      message: 'A rule masks this request, and its route is fixed (sallyport.model).',
      format,
      headers: [],
    };
  return undefined;
}

/** A no is answered once it is on the record, as a yes is. */
export async function denied(
  stages: Stages,
  passage: Passage,
  { headers, ...denial }: Denial,
  cited: NonNullable<EndEvent['request']>,
): Promise<Reply> {
  const { code } = denial;
  const answer = stages.refuse({ ...denial, session: passage.session });
  stages.recorder.event(endEvent(stages, passage, cited, { how: 'denied', code, status: answer.status }));
  await stages.recorder.durable();
  return { kind: 'reply', session: passage.session, code, ...answer, headers: over(answer.headers, headers) };
}

/** Headers with others over those of the same name. */
function over(headers: readonly Header[], others: readonly Header[]): readonly Header[] {
  const names = new Set(others.map(([name]) => name));
  return [...headers.filter(([name]) => !names.has(name)), ...others];
}

function denialCode(decision: Extract<Decision, { verdict: 'deny' }>): ErrorCode {
  if (decision.by === undefined) return 'no_rule_allows';
  const hit = decision.rules.find((rule) => `${rule.policy}/${rule.rule}` === decision.by);
  return hit?.error === undefined ? 'policy_denied' : 'policy_error';
}
