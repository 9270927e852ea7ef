/** What a request says, read once, strictly. The rules see it as `request`. */
export type FormatId = 'openai-chat';

export interface RequestFacts {
  readonly format: FormatId;
  readonly operation: 'chat';
  /** The model field as the client wrote it. */
  readonly model: string;
  readonly stream: boolean;
  /** Number of choices asked for (`n`), 1 by default. */
  readonly choices: number;
  readonly messages: readonly { readonly role: string; readonly text: string }[];
  /** All text parts in order, joined by newlines: system, messages, tool results. */
  readonly text: string;
  readonly tools: readonly { readonly name: string }[];
  readonly images: number;
  /** `max_completion_tokens` or `max_tokens`, where the client said one. */
  readonly maxTokens: number | undefined;
  /** Estimated prompt tokens (about 4 characters a token). */
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

/** Token usage as the model reported it. */
export interface Usage {
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}
