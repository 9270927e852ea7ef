import type { FormatId, Reading, RequestFacts } from './facts.ts';
import type { JsonValue } from './json.ts';
import type { Work } from './pace.ts';
import type { RuleNode } from './text-rules.ts';

/** A step of a channel's path: a member's name, or an item of an array. */
export type PathStep = string | { readonly item: number; readonly indexed: boolean };

/** One model API. One file a format, one row in formats.ts, one folder in test/fixtures. */
export interface Format {
  readonly id: FormatId;
  readonly operation: 'chat';
  readonly method: 'POST';
  /** Exact paths, after Envoy's normalization, without the query. */
  readonly paths: readonly string[];
  /** Reads the facts of a parsed body; wrong types are refused in the words of the API's own errors. `bytes`: the body's length. */
  facts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>>;
  readonly requestText: RuleNode;
  /** Text of a response that is one JSON body. */
  readonly responseText: RuleNode;
  /** Text of one event of a streamed response. */
  readonly eventText: RuleNode;
  /** Whether the data of an SSE event says that the stream is over. */
  isTerminal(data: string): boolean;
  /**
   * An event that carries what a channel still held, as JSON text. `header`: the scalar members of the channel's last
   * event (`"id":"…","object":"…"`), as they were written.
   */
  carrier(header: string, path: readonly PathStep[], text: string): string;
  /** The answer to "which models are there", as JSON text. `names` are those that the caller may use. */
  modelList(names: readonly string[]): string;
}
