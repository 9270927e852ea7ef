/**
 * A recorded session as the rules see it. What the record did not keep throws NotKept when a rule reads it, so that a rule
 * that depends on it is unknown and not wrong.
 */
import type { ParameterValue, RequestFacts } from '../../exchange/facts.ts';
import type { Caller } from '../../identity/caller.ts';
import type { Model } from '../../models/model.ts';
import type { DecisionInput, GuardVerdict } from '../decision.ts';

/** The verdicts of a decision event. */
export type RecordedVerdict = 'allow' | 'deny' | 'requireApproval' | 'limit';

/** What the record has of one decided session; members that an older version did not write are absent. */
export interface RecordedSession {
  readonly session: string;
  readonly request: {
    /** Epoch milliseconds. */
    readonly at: number;
    readonly caller: {
      readonly provider: string;
      readonly issuer?: string;
      readonly subject: string;
      readonly email?: string;
      readonly kind: Caller['kind'];
      readonly proof: Caller['proof'];
      readonly groups: readonly string[];
      readonly groupsProblem?: string;
      readonly team?: string;
    };
    readonly http: {
      readonly method: string;
      readonly host: string;
      readonly path: string;
      readonly clientAddress: string;
    };
    readonly model: string;
    readonly modelVersion: string;
    readonly format: RequestFacts['format'];
    readonly operation: RequestFacts['operation'];
    readonly stream: boolean;
    readonly tokens: number;
    readonly bytes: number;
    readonly tools: readonly string[];
    readonly toolCall?: string;
    readonly choices?: number;
    readonly images?: number;
    readonly audio?: number;
    readonly files?: number;
    readonly maxTokens?: number;
    readonly guards?: Readonly<
      Record<string, { readonly flagged: boolean; readonly categories: readonly string[]; readonly code: string }>
    >;
  };
  /** Detector → count; undefined: nobody looked, or the look is not on the record. */
  readonly findings: Readonly<Record<string, number>> | undefined;
  readonly decision: {
    readonly verdict: RecordedVerdict;
    readonly rules: readonly {
      readonly policy: string;
      readonly rule: string;
      readonly mode: string;
      readonly error?: string;
    }[];
    readonly revision: string;
    readonly maskResponse: readonly string[];
    /** Detector id → operator, of those that are not replaced by their names. */
    readonly operators?: { readonly response: Readonly<Record<string, string>> };
  };
  /** Tokens in and out, where the model reported them. */
  readonly usedTokens: number | undefined;
  /** The request's body as recorded (masked); undefined: not kept. */
  readonly text: string | undefined;
}

/** A rule read what the record did not keep. */
export class NotKept extends Error {
  readonly code = 'not_kept';
  static #reads = 0;
  constructor(what: string) {
    super(`${what} is not on the record`);
    NotKept.#reads++;
  }
  /** How often that happened so far. A decision is made at once: that it grew says that this decision did, whatever became of the error. */
  static get reads(): number {
    return NotKept.#reads;
  }
}

const kept = <T>(what: string, value: T | undefined): T => {
  if (value === undefined) throw new NotKept(what);
  return value;
};

/** What the record writes in place of what it masks: `<EMAIL_ADDRESS>`, or several of them. */
const LABEL = /<[A-Z][A-Z0-9_]*>/;
/** Characters of a name or host, and of a path, that the record keeps (checkpoint/record.ts). */
const LONGEST_NAME = 256;
const LONGEST_PATH = 1024;

/** A text as it was sent: one that was masked, or may have been cut, is another. */
const asSent = (what: string, text: string, longest = LONGEST_NAME): string => {
  if (text.length >= longest || LABEL.test(text)) throw new NotKept(what);
  return text;
};

/** What the current configuration says of a body that was kept whole: undefined where it cannot be read. */
export interface Reread {
  readonly facts: RequestFacts;
  readonly filters: ReadonlyMap<string, number>;
}

/** `reread`: of the recorded body. Its text is the caller's own only where nothing in it was masked. */
export function recordedInput(recorded: RecordedSession, model: Model, reread: Reread | undefined): DecisionInput {
  const { request, findings } = recorded;
  const isWhole = findings !== undefined && Object.values(findings).every((count) => count === 0);
  const whole = isWhole ? reread : undefined;
  return {
    caller: callerOf(recorded),
    request: factsOf(recorded, reread?.facts, whole?.facts),
    get findings() {
      return new Map(Object.entries(kept('findings', findings)));
    },
    get filters() {
      return kept('filters', whole).filters;
    },
    guards: guardsOf(request.guards),
    model,
    http: {
      get method() {
        const { method } = request.http;
        // Whatever a client made up.
        if (method === 'other') throw new NotKept('http.method');
        return method;
      },
      clientAddress: request.http.clientAddress,
      get host() {
        return asSent('http.host', request.http.host);
      },
      get path() {
        return asSent('http.path', request.http.path, LONGEST_PATH);
      },
      get headers(): never {
        throw new NotKept('http.headers');
      },
    },
    nowMs: request.at,
  };
}

function callerOf({ request: { caller, at } }: RecordedSession): Caller {
  return {
    provider: caller.provider,
    get issuer() {
      return kept('caller.issuer', caller.issuer);
    },
    subject: caller.subject,
    kind: caller.kind,
    proof: caller.proof,
    email: caller.email,
    groups: caller.groups,
    ...(caller.groupsProblem === undefined ? {} : { groupsProblem: caller.groupsProblem }),
    team: caller.team,
    get claims(): never {
      throw new NotKept('caller.claims');
    },
    tokenId: undefined,
    issuedAtMs: at,
    expiresAtMs: at,
  };
}

/** `read`: what the recorded body says, masked as it may be; `whole`: the same, where it is what the caller sent. */
function factsOf(
  { request }: RecordedSession,
  read: RequestFacts | undefined,
  whole: RequestFacts | undefined,
): RequestFacts {
  const { format, operation, stream, tokens, bytes, toolCall } = request;
  return {
    format,
    operation,
    // What the caller wrote may be another name of the model.
    get model() {
      return asSent('request.model', kept('request.model', read).model);
    },
    stream,
    get choices() {
      return kept('request.choices', request.choices ?? read?.choices);
    },
    get system() {
      return kept('request.system', whole).system;
    },
    get messages() {
      return kept('request.messages', whole).messages;
    },
    get text() {
      return kept('request.text', whole).text;
    },
    get tools() {
      // The record names so many at most (checkpoint/record.ts).
      if (request.tools.length >= 256) throw new NotKept('request.tools');
      return request.tools.map((name) => ({ name: asSent('request.tools', name) }));
    },
    get toolCall() {
      if (toolCall === undefined) throw new NotKept('request.toolCall');
      return toolCall === '' ? undefined : recordedCall(toolCall, whole);
    },
    get images() {
      return kept('request.images', request.images ?? read?.images);
    },
    get audio() {
      return kept('request.audio', request.audio ?? read?.audio);
    },
    get files() {
      return kept('request.files', request.files ?? read?.files);
    },
    get unread() {
      return kept('request.unread', whole).unread;
    },
    get maxTokens() {
      // Absent as the client left it out; or by a version that did not write it.
      return (
        request.maxTokens ?? (request.choices === undefined ? kept('request.maxTokens', read).maxTokens : undefined)
      );
    },
    get parameters(): ReadonlyMap<string, ParameterValue> {
      return kept('request.parameters', whole).parameters;
    },
    tokens,
    bytes,
  };
}

function recordedCall(name: string, whole: RequestFacts | undefined): NonNullable<RequestFacts['toolCall']> {
  return {
    get name() {
      return asSent('request.toolCall.name', name);
    },
    get arguments() {
      return kept('request.toolCall.arguments', whole?.toolCall).arguments;
    },
  };
}

/** A guard says what it said then; one that nobody asked is not on the record. */
function guardsOf(said: RecordedSession['request']['guards']): ReadonlyMap<string, GuardVerdict> {
  const verdicts = new Map(Object.entries(said ?? {}).map(([name, one]) => [name, verdictOf(name, one)]));
  const get = (name: string) => kept(`guard("${name}")`, verdicts.get(name));
  // No class of its own: expressions know a map by its constructor.
  return Object.defineProperty(new Map(verdicts), 'get', { value: get });
}

type Said = NonNullable<RecordedSession['request']['guards']>[string];

function verdictOf(name: string, { flagged, categories, code }: Said): GuardVerdict {
  if (code !== '') return { ok: false, code };
  return {
    ok: true,
    flagged,
    categories,
    get scores(): never {
      throw new NotKept(`guard("${name}").scores`);
    },
  };
}
