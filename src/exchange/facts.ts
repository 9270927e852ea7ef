/** What a request says, read once, strictly. The rules see it as `request`. */

/** Every model API that the gateway reads; `opaque` is whatever else a model entry admits, unread. */
export type FormatId =
  | 'openai-chat'
  | 'openai-completions'
  | 'openai-responses'
  | 'openai-embeddings'
  | 'anthropic-messages'
  | 'gemini'
  | 'ollama-chat'
  | 'ollama-generate'
  | 'tgi'
  | 'bedrock-converse'
  | 'mcp'
  | 'opaque';

/**
 * What is asked for, in the words of OpenTelemetry's `gen_ai.operation.name` where it has one (semantic conventions for
 * generative AI); `mcp` is any MCP message but `tools/call`.
 */
export type Operation =
  | 'chat'
  | 'text_completion'
  | 'embeddings'
  | 'count_tokens'
  | 'execute_tool'
  | 'mcp'
  | 'opaque'
  /** Answered by the gate; rules never see it. */
  | 'list_models';

/** A scalar parameter as the client wrote it. */
export type ParameterValue = string | number | bigint | boolean;

export interface RequestFacts {
  readonly format: FormatId;
  readonly operation: Operation;
  /** The model as the client wrote it, in the body or in the path; empty where the format names none (`tgi`, `mcp`, `opaque`). */
  readonly model: string;
  readonly stream: boolean;
  /** Number of choices asked for (`n`, `candidateCount`, …), 1 by default. */
  readonly choices: number;
  /** System and developer instructions, joined by newlines; empty: none. They are in `messages` too where the format has them there. */
  readonly system: string;
  readonly messages: readonly { readonly role: string; readonly text: string }[];
  /**
   * All text in order, joined by newlines: the messages first (tool results, refusals, names, file names, tool-call
   * arguments too), then every other string of the body that could carry words (tool descriptions, schemas, fields we do not know).
   */
  readonly text: string;
  /** Tools on offer; a tool without a name of its own (a hosted one) is named by its type. */
  readonly tools: readonly { readonly name: string }[];
  /** MCP `tools/call`; undefined for everything else. The server is the model entry; `arguments` are JSON values as read. */
  readonly toolCall: { readonly name: string; readonly arguments: unknown } | undefined;
  /** MCP: the `id` of the request as JSON, up to 128 characters: an error in the answer's place names it. */
  readonly rpcId?: string;
  /** Image, audio (and video) parts; attached files. */
  readonly images: number;
  readonly audio: number;
  readonly files: number;
  /**
   * Something of the request was not read as text: an image, sound, a PDF, other bytes, a file that is only named (by an
   * address or an id), a body that no format reads.
   */
  readonly unread: boolean;
  /** Most tokens that the answer may have, where the client said so; the larger of two. */
  readonly maxTokens: number | undefined;
  /** Scalar parameters of generation by the names that the client used: `temperature`, `top_p`, `seed`, … */
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  /** Estimated prompt tokens: a quarter of the text's bytes in UTF-8, which is about 4 characters a token in English. */
  readonly tokens: number;
  /** Length of the body in bytes. */
  readonly bytes: number;
}

/** Reading a body: the facts, or the refusal that the caller gets. `code` is a row of the error table. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly code: 'invalid_json' | 'unsupported_encoding' | 'unsupported_media_type' | 'invalid_request';
      readonly message: string;
    };

/** Token usage as the model reported it, and what it sent. */
export interface Usage {
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  /** Bytes in UTF-8 of the answer's texts (messages, reasoning, tool arguments) so far: what counts where nothing is reported. */
  readonly textBytes: number;
}
