/**
 * Masks one channel of decoded text as it streams. `push` returns all that can no longer be part of a match; `end` the
 * rest. The concatenated output does not depend on how the text was cut.
 */
export interface TextMasker {
  push(delta: string): string;
  end(): string;
  /** Characters held back now. */
  readonly held: number;
}

/**
 * Makes a masker for a new channel. `onFinding` is called once per confirmed match with the detector's id. `before`: what
 * stands before the text without being part of it, such as the name of the field; detectors find their words there.
 */
export interface TextMaskers {
  (onFinding: (detector: string) => void, before?: string): TextMasker;
  /** Of maskers that look for names too, those that do not: for what is short, and no sentence. */
  readonly patterns?: TextMaskers;
  /** What to ask an analyzer about, for one body: it has its own maskers then (names.ts). */
  readonly namesOfBody?: () => import('./names.ts').NamesOfBody;
}

/** What a body masker releases for one chunk of transport. */
export interface Released {
  /** Bytes to deliver now; empty: hold (Envoy gets an empty body for this chunk). */
  readonly bytes: Buffer;
  /** True when these bytes hold the format's terminal event: release only after the record is durable. */
  readonly terminal: boolean;
}

/** An error that ends a body in the middle: as the API's own JSON, and in words for a body that is none. */
export interface ClosingError {
  readonly json: string;
  readonly words: string;
}

/** Masks one response (or request) body, whatever its framing. Throws UnreadableBody when it cannot be read strictly. */
export interface BodyMasker {
  push(chunk: Uint8Array): Released | Promise<Released>;
  /** End of the body: everything that is still held, and the carriers. */
  end(): Released | Promise<Released>;
  /** Detector id → confirmed matches so far. */
  readonly findings: ReadonlyMap<string, number>;
  readonly usage: import('../exchange/facts.ts').Usage;
  /**
   * After UnreadableBody: what was read well of the piece that failed, and what was held from before it, masked. Once;
   * nothing is pushed after it. Empty where a body is all or nothing.
   */
  salvage(): Buffer | Promise<Buffer>;
  /**
   * The bytes that end what was released so far (`begun`: something was) with an error; nothing that is held is in them.
   * Undefined: the body has no place for one.
   */
  closing(error: ClosingError, begun: boolean): Buffer | undefined;
}
