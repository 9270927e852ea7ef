import type { ErrorRow } from './errors.ts';
import type { FormatId, Operation, Reading, RequestFacts } from './facts.ts';
import type { JsonValue } from './json.ts';
import type { Work } from './pace.ts';
import type { RuleNode } from './text-rules.ts';
import type { ReadsToolCalls } from './tool-calls.ts';

/** A step of a channel's path: a member's name, or an item of an array. */
export type PathStep = string | { readonly item: number; readonly indexed: boolean };

/** What a method and path ask of a format. */
export interface Endpoint {
  readonly operation: Operation;
  /** The model, where the path names it (Gemini, Bedrock), percent-decoded. */
  readonly model?: string;
  /** Whether the answer streams, where the path says so and the body does not. */
  readonly stream?: boolean;
  /** Set where the API is known and its answer cannot be read: why. `facts` refuses with it. */
  readonly unreadable?: string;
}

/** What an event of a stream is, where its path alone does not say it. */
export interface EventKind {
  /** Texts at one path are one text in one scope only (`type` and indexes beside the text). Empty: no scope. */
  readonly scope: string;
  /** Whether the event's texts go on in later events of its scope (as text, or as JSON), or each is all there is of it. */
  readonly texts: 'pieces' | 'json-pieces' | 'complete';
  /** The scope whose texts end with this event, or all of them. */
  readonly ends: { readonly scope: string } | 'all' | undefined;
  /** The last event of the stream: what follows it is dropped. */
  readonly terminal: boolean;
}

/** How the events of a stream hang together: for formats whose events name what goes on beside it (Responses, TGI). */
export interface EventKinds {
  /** Scalar members that `kind` looks at: of the outermost object (`type`), or of an object in it (`token.special`). */
  readonly members: ReadonlySet<string>;
  /** `members`: those that the event has and that are not null; numbers and booleans as they are written. */
  kind(members: ReadonlyMap<string, string>): EventKind;
}

/** A refusal as the API's own SDK expects it. */
export interface ErrorText {
  readonly code: string;
  readonly row: ErrorRow;
  /** With the session at its end. */
  readonly message: string;
  /** Empty where there is none. */
  readonly session: string;
  /** MCP: the id of the request that it answers, as JSON; undefined: it is not known. */
  readonly rpcId?: string | undefined;
}

/** One model API. One file (or a few by phase) a format, one row in formats.ts, one folder in test/fixtures. */
export interface Format {
  readonly id: FormatId;
  /** What a request's method and path (after Envoy's normalization, without its query) ask for; undefined: nothing of this API. */
  endpoint(method: string, path: string): Endpoint | undefined;
  /** All paths of calls that `endpoint` knows; `*` is whatever names the model. See path-readings.ts. */
  readonly paths: readonly string[];
  /** Reads the facts of a parsed body; wrong types are refused in the words of the API's own errors. `bytes`: the body's length. */
  facts(body: JsonValue, bytes: number, endpoint: Endpoint): Work<Reading<RequestFacts>>;
  readonly requestText: RuleNode;
  /** Text of a response that is one JSON body. */
  readonly responseText: RuleNode;
  /** Text of one event of a streamed response. */
  readonly eventText: RuleNode;
  /** What each event is, where paths, `end` fields and markers do not say it. */
  readonly events?: EventKinds;
  /** How its answers call tools; undefined: they do not. */
  readonly toolCalls?: ReadsToolCalls;
  /** Whether the data of an SSE event that is not JSON says that the stream is over (`[DONE]`), and nothing else. */
  isTerminal(data: string): boolean;
  /** A stream may be a JSON array, whose items are its events. */
  readonly streamsArrays?: true;
  /** Events of a stream have their `type` in an `event:` line too, and SDKs read it. */
  readonly namedEvents?: true;
  /**
   * An event that carries what a channel still held, as JSON text. `header`: the scalar members of the channel's last
   * event (`"id":"…","object":"…"`), as they were written. `path` is without the scope.
   */
  carrier(header: string, path: readonly PathStep[], text: string): string;
  /** The body of a refusal, as JSON text. */
  error(error: ErrorText): string;
  /** An error in the middle of a stream, as the JSON of an event; `error` where it is the same. */
  streamError?(error: ErrorText): string;
  /** Paths of `GET` that ask for the list of models, answered by the gate. Several APIs may have one path: see `formats.ts`. */
  readonly modelListPaths: readonly string[];
  /** Header by which the API's SDK is known where other APIs have these paths too. */
  readonly modelListHeader?: string;
  /** The answer to "which models are there", as JSON text. `names` are those that the caller may use. */
  modelList(names: readonly string[]): string;
}
