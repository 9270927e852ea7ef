/**
 * The maskers of a gateway: one automaton a set of detectors, shared by all that use the set; and from it what one
 * request or one response needs. What is recorded is masked with the record's own detectors, whatever was delivered.
 */
import { type Automaton, compileAutomaton, compiling } from '../detect/automaton.ts';
import type { Detector, NameFinder } from '../detect/detector.ts';
import type { Masking } from '../detect/operator.ts';
import { detectors as builtIn } from '../detect/registry.ts';
import type { Format } from '../exchange/format.ts';
import { formatById } from '../exchange/formats.ts';
import type { Framing } from '../exchange/media.ts';
import { type Cancelled, paced } from '../exchange/pace.ts';
import { ToolCalls } from '../exchange/tool-calls.ts';
import { type BodyMaskerOptions, createBodyMasker } from './body.ts';
import type { BodyMasker, TextMaskers } from './contract.ts';
import { type DetectorNames, detectorNames } from './detector-names.ts';
import { createEncodedParts, type EncodedParts, maskedShort } from './encoded.ts';
import type { Flow } from './json.ts';
import { NamesOfBody, type NamesOptions } from './names.ts';
import { OpaqueDigest, opaqueKept } from './opaque.ts';
import { type Becomes, becomes, type MaskingKeys, type Operators, operatorOf } from './operators.ts';
import { Pseudonyms, type Restored, WrittenTokens } from './pseudonyms.ts';
import { Restoring } from './restoring.ts';
import { createTextMaskers } from './text.ts';

/** How one response's body is read: what is delivered, and what is recorded of it. */
export interface ResponseBody {
  /** Masks what the plan asks for; observes (terminal event, usage) where it asks for nothing. */
  readonly delivery: BodyMasker;
  /** Masks what was delivered once more for the record; undefined when the delivery is masked enough for it. */
  readonly record: BodyMasker | undefined;
  /** What it then goes through, where the request has pseudonyms. */
  readonly restoring: Restoring | undefined;
  /** Its tool calls, where rules are asked about them and the format has any. */
  readonly calls: ToolCalls | undefined;
}

/** Which rules are asked about the tool calls of an answer. */
export type AsksToolCalls = 'none' | 'trial' | 'enforce';

/** How an answer is masked, beside the detectors. */
export interface ResponseMasking {
  readonly asks?: AsksToolCalls;
  /** Default: all are replaced. */
  readonly operators?: Operators | undefined;
  /** Of the request: what is put back. */
  readonly pseudonyms?: Pseudonyms | undefined;
}

export interface MaskedRequest {
  readonly masked: Buffer;
  /** Detector id → matches. */
  readonly findings: ReadonlyMap<string, number>;
  /** What stands for values of this request (`pseudonym`), to be put back in its answer. */
  readonly pseudonyms?: Pseudonyms;
}

export interface Bodies {
  /** A few names for many detectors. */
  readonly names: DetectorNames;
  /** Compiles what these need, a little at a time: the first request that is masked so need not wait for it. */
  prepare(maskings: readonly Masking[]): Promise<void>;
  /**
   * Masks a request's body (JSON, read strictly before) for the record, what is found in base64 and percent-encoded parts of
   * its strings included; both are counted. Abandoned once `cancelled` says so.
   */
  request(format: string, body: Buffer, cancelled?: Cancelled): Promise<MaskedRequest> | MaskedRequest;
  /**
   * Masks a request's body for the model: what is found in encoded parts of its strings too, which become the names of what
   * is in them, whatever the operator. Throws as `response` does.
   */
  maskedRequest(
    format: string,
    body: Buffer,
    mask: readonly string[],
    operators?: Operators,
  ): Promise<MaskedRequest> | MaskedRequest;
  /** What the record keeps of a body that no format reads: length, SHA-256, and the text in it, masked. */
  opaqueRequest(body: Buffer, text: string, cancelled?: Cancelled): Promise<MaskedRequest> | MaskedRequest;
  /** Masks a short text for the record: a path, a user agent, a name that the caller chose. */
  text(text: string): string;
  /** `mask`: detector ids of the plan. Throws UnknownPlanDetector for one that this build does not have. */
  response(format: string, framing: Framing, mask: readonly string[], how?: ResponseMasking): ResponseBody;
}

/** A plan names a format that this build does not speak: it comes from a newer replica. */
class UnknownPlanFormat extends Error {
  override readonly name = 'UnknownPlanFormat';
}

/** A plan names a detector that this build does not know: masking less than asked would open the gate. */
class UnknownPlanDetector extends Error {
  override readonly name = 'UnknownPlanDetector';
}

/** Detectors of one plan, compiled. */
interface DetectorSet {
  readonly automaton: Automaton;
  /** Those that an analyzer finds. */
  readonly names: readonly string[];
  readonly maskers: TextMaskers;
  readonly encoded: EncodedParts;
  /** Detectors of the record that have not replaced what they find: what is delivered is searched for it again. */
  readonly leftToRecord: readonly string[];
}

const NO_OPERATORS: Operators = {};

/** Sets of detectors kept compiled; policies name a handful. */
const MAX_SETS = 64;
/** Short texts kept with what they become: paths and user agents are the same in most requests. */
const MAX_TEXTS = 256;
const LONGEST_TEXT_KEPT = 1024;

export interface BodiesOptions {
  /** For the operators that need them (`hash`, `encrypt`). */
  readonly keys?: MaskingKeys;
  /** Every detector that a plan may name. Default: those that are built in. */
  readonly known?: readonly Detector[];
  /** Longest JSON body of an answer; 16 MiB by default. */
  readonly maxJsonBytes?: number;
  /** What becomes of a longer one: see json-flow.ts. Default: it is refused. */
  readonly beyondJson?: 'refuse' | 'stream';
  /** Who finds names, which are detectors then. */
  readonly finder?: NameFinder;
}

export function createBodies(
  recordDetect: readonly string[],
  { keys, known = builtIn, finder, maxJsonBytes = 16 * 1024 * 1024, beyondJson = 'refuse' }: BodiesOptions = {},
): Bodies {
  // What was delivered has passed the limits of the delivery; labels may have made it longer since.
  const delivered = { maxJsonBytes: 4 * maxJsonBytes, maxEventBytes: 8 * 1024 * 1024 };
  const byIds = new Map<string, DetectorSet>();
  // Plans that name the same detectors and operators have the same objects (`DetectorNames`).
  const byObjects = new WeakMap<readonly string[], WeakMap<Operators, DetectorSet>>();
  const maskersOf = (
    { automaton, names }: Pick<DetectorSet, 'automaton' | 'names'>,
    becomesOf: (id: string) => Becomes,
  ): TextMaskers => {
    const patterns = createTextMaskers(automaton, becomesOf);
    if (finder === undefined || names.length === 0) return patterns;
    return withNames({ finder, ids: new Set(names), automaton, patterns, becomes: becomesOf });
  };
  const keyOf = (ids: readonly string[], operators: Operators): string =>
    ids.join() + (Object.keys(operators).length === 0 ? '' : JSON.stringify(ids.map((id) => operators[id])));
  const detectorSet = (ids: readonly string[], operators: Operators = NO_OPERATORS): DetectorSet => {
    const before = byObjects.get(ids)?.get(operators);
    if (before !== undefined) return before;
    const key = keyOf(ids, operators);
    const found = byIds.get(key) ?? newSet(ids, operators, compileAutomaton(chosenOf(ids)));
    keep(key, found);
    byObjects.set(ids, (byObjects.get(ids) ?? new WeakMap()).set(operators, found));
    return found;
  };
  const keep = (key: string, set: DetectorSet): void => {
    if (!byIds.has(key) && byIds.size >= MAX_SETS) byIds.delete(byIds.keys().next().value ?? '');
    byIds.set(key, set);
  };
  const chosenOf = (ids: readonly string[]): readonly Detector[] => {
    const asked = new Set(ids);
    const chosen = known.filter(({ id }) => asked.has(id));
    const names = finder?.ids.filter((id) => asked.has(id)) ?? [];
    if (chosen.length + names.length !== asked.size)
      throw new UnknownPlanDetector(`one of ${ids.join()} is not known here`);
    return chosen;
  };
  const newSet = (ids: readonly string[], operators: Operators, automaton: Automaton): DetectorSet => {
    const asked = new Set(ids);
    const names = finder?.ids.filter((id) => asked.has(id)) ?? [];
    const maskers = maskersOf({ automaton, names }, (id) => becomes(id, operatorOf(operators, id), keys));
    const encoded = createEncodedParts(automaton);
    // The record has names in the place of what was found, and nothing of what was found.
    const leftToRecord = ids.some((id) => id in operators) ? recordDetect : recordDetect.filter((id) => !asked.has(id));
    return { automaton, names, maskers, encoded, leftToRecord };
  };
  const prepare = async ({ ids, operators }: Masking): Promise<void> => {
    const key = keyOf(ids, operators);
    if (ids.length === 0 || byIds.has(key)) return;
    const set = newSet(ids, operators, await paced(compiling(chosenOf(ids))));
    keep(key, set);
    if (set.leftToRecord !== recordDetect) await prepare({ ids: set.leftToRecord, operators: {} });
  };
  const forRecord = detectorSet(recordDetect);
  const { maskers: recorded, encoded: recordEncoded } = forRecord;
  const texts = new Map<string, string>();
  const shortText = (text: string): string => {
    let masked = texts.get(text);
    if (masked !== undefined) return masked;
    masked = maskedShort(recorded.patterns ?? recorded, recordEncoded, text);
    if (texts.size >= MAX_TEXTS) texts.clear();
    if (text.length <= LONGEST_TEXT_KEPT) texts.set(text, masked);
    return masked;
  };
  const requestMasker = (
    id: string,
    cancelled?: Cancelled,
    set: Pick<DetectorSet, 'maskers' | 'encoded'> = forRecord,
  ): BodyMasker =>
    createBodyMasker({
      format: formatOf(id),
      direction: 'request',
      framing: 'json',
      textMaskers: set.maskers,
      encoded: set.encoded,
      ...(cancelled === undefined ? {} : { cancelled }),
    });
  const recordMasker = (
    format: Format,
    framing: Framing,
    delivers: DetectorSet | undefined,
    flow: Flow | undefined,
  ): BodyMasker | undefined => {
    if (framing === 'opaque') return new OpaqueDigest();
    const left = delivers?.leftToRecord ?? recordDetect;
    if (framing === 'none' || left.length === 0) return undefined;
    const textMaskers = left === recordDetect ? recorded : detectorSet(left).maskers;
    return createBodyMasker({ format, direction: 'response', framing, textMaskers, ...delivered, flow });
  };
  /** First the tokens are looked for that the request has itself, so that none of them comes to stand for a value. */
  const withPseudonyms = async (
    id: string,
    body: Buffer,
    set: DetectorSet,
    operators: Operators | undefined,
  ): Promise<MaskedRequest> => {
    const written = new WrittenTokens();
    const reader = {
      format: formatOf(id),
      direction: 'request',
      framing: 'json',
      textMaskers: written.maskers,
    } as const;
    await whole(createBodyMasker(reader), body);
    const pseudonyms = new Pseudonyms(written.found);
    const maskers = maskersOf(set, (one) => {
      const operator = operatorOf(operators, one);
      return operator.type === 'pseudonym' ? pseudonyms.becomes(one) : becomes(one, operator, keys);
    });
    return { ...(await whole(requestMasker(id, undefined, { maskers, encoded: set.encoded }), body)), pseudonyms };
  };
  return {
    names: detectorNames(known),
    async prepare(maskings) {
      for (const masking of maskings) await prepare(masking);
    },
    request: (id, body, cancelled) => whole(requestMasker(id, cancelled), body),
    maskedRequest(id, body, mask, operators) {
      const set = detectorSet(mask, operators);
      const hasPseudonyms = mask.some((one) => operatorOf(operators, one).type === 'pseudonym');
      return hasPseudonyms ? withPseudonyms(id, body, set, operators) : whole(requestMasker(id, undefined, set), body);
    },
    opaqueRequest(body, text, cancelled) {
      const kept = paced(opaqueKept(body, text), cancelled);
      const masked = (json: Buffer) => whole(requestMasker('opaque', cancelled), json);
      return kept instanceof Promise ? kept.then(masked) : masked(kept);
    },
    text(text) {
      return text === '' ? text : shortText(text);
    },
    response(id, framing, mask, { asks = 'none', operators, pseudonyms } = {}) {
      const format = formatOf(id);
      const { toolCalls } = format;
      const calls =
        asks === 'none' || toolCalls === undefined ? undefined : new ToolCalls(toolCalls, asks === 'enforce');
      const delivers = mask.length === 0 ? undefined : detectorSet(mask, operators);
      const flow: Flow | undefined = beyondJson === 'stream' ? { begun: false } : undefined;
      return {
        delivery: createBodyMasker({
          format,
          direction: 'response',
          framing,
          textMaskers: delivers?.maskers,
          calls,
          maxJsonBytes,
          flow,
        }),
        record: recordMasker(format, framing, delivers, flow),
        restoring:
          framing === 'opaque'
            ? undefined
            : restoring(pseudonyms?.backFor(mask), { format, framing, ...delivered, flow }),
        calls,
      };
    },
  };
}

function restoring(
  restored: Restored | undefined,
  reading: Pick<BodyMaskerOptions, 'format' | 'framing' | 'maxJsonBytes' | 'maxEventBytes' | 'flow'>,
): Restoring | undefined {
  if (restored === undefined) return undefined;
  const masker = createBodyMasker({ ...reading, direction: 'response', textMaskers: restored.maskers });
  return new Restoring(masker, restored);
}

/** Maskers of complete texts and of names; a body has its own. */
const withNames = (options: NamesOptions): TextMaskers =>
  Object.assign((onFinding: (detector: string) => void, before?: string) => options.patterns(onFinding, before), {
    patterns: options.patterns,
    namesOfBody: () => new NamesOfBody(options),
  });

function formatOf(id: string): Format {
  const format = formatById(id);
  if (format === undefined) throw new UnknownPlanFormat(`the format ${id} is not known here`);
  return format;
}

/** Runs a whole body through a masker; synchronous unless the masker has to yield. */
function whole(masker: BodyMasker, body: Buffer): MaskedRequest | Promise<MaskedRequest> {
  const first = masker.push(body);
  if (first instanceof Promise) return wholeLater(masker, first);
  const rest = masker.end();
  if (rest instanceof Promise) return wholeLater(masker, first, rest);
  return { masked: both(first.bytes, rest.bytes), findings: masker.findings };
}

async function wholeLater(
  masker: BodyMasker,
  first: ReturnType<BodyMasker['push']>,
  rest?: ReturnType<BodyMasker['end']>,
): Promise<MaskedRequest> {
  const { bytes } = await first;
  const end = await (rest ?? masker.end());
  return { masked: both(bytes, end.bytes), findings: masker.findings };
}

/** JSON comes at its end, all at once. */
function both(first: Buffer, rest: Buffer): Buffer {
  return first.length === 0 ? rest : Buffer.concat([first, rest]);
}
