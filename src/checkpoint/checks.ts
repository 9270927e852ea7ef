/**
 * The content checks: on the path where a rule in scope reads them, after the answer to Envoy where none does. They are
 * always made, and always on the record: a policy is tried on them later.
 */
import type { RequestFacts } from '../exchange/facts.ts';
import type { Filters } from '../guard/guard.ts';
import type { Model } from '../models/model.ts';
import type { Checks, Decision, DecisionInput, GuardVerdict, Needs } from '../policy/decision.ts';
import type { EndEvent } from '../record/events.ts';
import { recordText } from './content.ts';
import { pathOf } from './record.ts';
import type { Afterwards, Checked, GateRequest, Passage, Stages } from './stages.ts';

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

/** Bodies over this are looked at on the path, whoever asks: the end of an answer must not wait for seconds of work. Bytes. */
const LARGEST_LATER = 1024 * 1024;

/** What the rules ask for, but for the guards. */
export async function checkOnPath(
  stages: Stages,
  request: GateRequest,
  facts: RequestFacts,
  needs: Needs,
): Promise<Checked> {
  const asked = needs.findings || needs.filters || request.body.length > LARGEST_LATER;
  const lists = stages.filters();
  const found = asked
    ? await look(stages, lists, request, facts)
    : { masked: undefined, findings: NOTHING, filters: NOTHING, lists };
  return { ...found, guards: NOTHING };
}

/**
 * Asks the guards, unless the request is denied whatever they say: then its text stays in the house. `decide`: what the
 * rules say with these verdicts.
 */
export async function checkWithGuards(
  stages: Stages,
  request: GateRequest,
  facts: RequestFacts,
  checked: Checked,
  { guards: names }: Needs,
  decide: (checked: Checked) => Decision,
): Promise<{ readonly checked: Checked; readonly decision: Decision }> {
  if (names.length === 0) return { checked, decision: decide(checked) };
  const clean = decide({ ...checked, guards: saying(names, false) });
  if (clean.verdict === 'deny') {
    const flagged = decide({ ...checked, guards: saying(names, true) });
    if (flagged.verdict === 'deny' && flagged.by === clean.by) return { checked, decision: clean };
  }
  const asked = { ...checked, guards: await stages.guard(names, request, facts) };
  return { checked: asked, decision: decide(asked) };
}

const saying = (names: readonly string[], flagged: boolean): ReadonlyMap<string, GuardVerdict> =>
  new Map(names.map((name) => [name, { ok: true, flagged, categories: [], scores: new Map() }]));

async function look(stages: Stages, lists: Filters | undefined, request: GateRequest, facts: RequestFacts) {
  const finding = stages.find(request, facts);
  const { masked, findings } = finding instanceof Promise ? await finding : finding;
  const filtering = stages.filter(lists, request, facts);
  return { masked, findings, filters: filtering instanceof Promise ? await filtering : filtering, lists };
}

/**
 * Puts the request's text on the record: at once where it has been looked at, else after the answer, with what was found. Returns
 * what is left to do then. A no is answered once all of it is on the record, and where too much waits it is done now.
 */
export async function recordRequest(
  stages: Stages,
  passage: Passage,
  facts: RequestFacts,
  checked: Checked,
  cited: NonNullable<EndEvent['request']>,
  isYes: boolean,
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
  const afterwards = isYes && stages.later(passage.session, passage.request.body.length, work);
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
  let byName: ReadonlyMap<string, string> | undefined;
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
        byName ??= headersForRules(headers);
        return byName;
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
