/**
 * The content checks: on the path where a rule in scope reads them, after the answer to Envoy where none does. They are
 * always made, and always on the record: a policy is tried on them later.
 */
import type { RequestFacts } from '../exchange/facts.ts';
import type { Filters } from '../guard/guard.ts';
import type { Model } from '../models/model.ts';
import type { Checks, DecisionInput, Needs } from '../policy/decision.ts';
import type { EndEvent } from '../record/events.ts';
import { recordText } from './content.ts';
import { pathOf } from './record.ts';
import type { Afterwards, Checked, GateRequest, Passage, Stages } from './stages.ts';

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

/** What the rules ask for. Guards come after what needs a place among the large bodies: `leave` gives it back. */
export async function checkOnPath(
  stages: Stages,
  request: GateRequest,
  facts: RequestFacts,
  needs: Needs,
  leave: () => void,
): Promise<Checked> {
  const asked = needs.findings || needs.filters;
  const lists = stages.filters();
  const found = asked
    ? await look(stages, lists, request, facts)
    : { masked: undefined, findings: NOTHING, filters: NOTHING, lists };
  if (needs.guards.length === 0) return { ...found, guards: NOTHING };
  leave();
  return { ...found, guards: await stages.guard(needs.guards, request, facts) };
}

async function look(stages: Stages, lists: Filters | undefined, request: GateRequest, facts: RequestFacts) {
  const finding = stages.find(request, facts);
  const { masked, findings } = finding instanceof Promise ? await finding : finding;
  const filtering = stages.filter(lists, request, facts);
  return { masked, findings, filters: filtering instanceof Promise ? await filtering : filtering, lists };
}

/**
 * Puts the request's text on the record: at once where it has been looked at, else after the answer, with what was found. Returns
 * what is left to do then. Where too much of that waits, it is done now.
 */
export async function recordRequest(
  stages: Stages,
  passage: Passage,
  facts: RequestFacts,
  checked: Checked,
  cited: NonNullable<EndEvent['request']>,
): Promise<Afterwards> {
  if (checked.masked !== undefined) {
    await recordMasked(stages, passage, checked.masked);
    return undefined;
  }
  const work = async (): Promise<void> => {
    // Nobody can abandon this: the request is on its way to the model.
    const whole = { ...passage.request, cancelled: () => false };
    const { masked, findings, filters } = await look(stages, checked.lists, whole, facts);
    await recordMasked(stages, passage, masked);
    stages.recorder.event({
      at: stages.nowMs(),
      filters: Object.fromEntries(filters),
      findings: Object.fromEntries(findings),
      request: cited,
      session: passage.session,
      type: 'findings',
    });
  };
  const afterwards = stages.later(passage.session, passage.request.body.length, work);
  if (afterwards !== false) return afterwards;
  await work();
  return undefined;
}

async function recordMasked(stages: Stages, { session, startedMs }: Passage, bytes: Buffer): Promise<void> {
  const recorded = recordText(stages.recorder, { session, direction: 'request', seq: 0, at: startedMs, bytes });
  if (recorded instanceof Promise) await recorded;
}

/** What the rules are asked with. */
export function decisionInput(
  passage: Passage,
  caller: DecisionInput['caller'],
  request: RequestFacts,
  model: Model,
  { findings, filters, guards }: Checks,
): DecisionInput {
  const { method, host, path, clientAddress, headers } = passage.request;
  return {
    caller,
    request,
    findings,
    filters,
    guards,
    model,
    http: {
      method,
      host,
      path: pathOf(path),
      clientAddress,
      // Few rules read them.
      get headers() {
        return headersForRules(headers);
      },
    },
    nowMs: passage.startedMs,
  };
}

/** Headers that carry credentials: a rule's message could repeat them. */
const SECRET =
  /^(?:authorization|proxy-authorization|cookie|x-api-key|x-goog-api-key|api-key|x-amz-security-token|x-sallyport-.*)$/;

function headersForRules(headers: GateRequest['headers']): ReadonlyMap<string, string> {
  const byName = new Map<string, string>();
  for (const [name, value] of headers) {
    if (name.startsWith(':') || SECRET.test(name)) continue;
    const before = byName.get(name);
    byName.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return byName;
}
