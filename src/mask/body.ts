import type { Format } from '../exchange/format.ts';
import type { Framing } from '../exchange/media.ts';
import type { Cancelled } from '../exchange/pace.ts';
import type { ToolCalls } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { BodyMasker, TextMaskers } from './contract.ts';
import type { EncodedParts } from './encoded.ts';
import { Findings } from './findings.ts';
import { type Flow, JsonMasker } from './json.ts';
import { JsonArrayMasker } from './json-array.ts';
import { AskingBody } from './names.ts';
import { NdjsonMasker } from './ndjson.ts';
import { NoBody, OpaqueBody } from './opaque.ts';
import { PiecewiseMasker } from './piecewise.ts';
import { PlainMasker } from './plain.ts';
import { SseMasker } from './sse.ts';

export interface BodyMaskerOptions {
  readonly format: Format;
  readonly framing: Framing;
  /** Which of the format's tables says what is text. A request is always JSON. */
  readonly direction: 'request' | 'response';
  /** Undefined: nothing is masked; the body is still read strictly, and its end and usage found. */
  readonly textMaskers: TextMaskers | undefined;
  /** A JSON body: what is looked for in encoded parts of its strings. Default: they are not decoded. */
  readonly encoded?: EncodedParts | undefined;
  /** What rules are asked about before it leaves; undefined: they ask about no tool call. */
  readonly calls?: ToolCalls | undefined;
  /** Longest JSON body, kept in memory until its end; 16 MiB by default. Beyond: UnreadableBody. */
  readonly maxJsonBytes?: number;
  /** A JSON body of an answer that is longer is masked as it comes; undefined: refused. */
  readonly flow?: Flow | undefined;
  /** Longest event or line of a stream; 1 MiB by default. Beyond: UnreadableBody. */
  readonly maxEventBytes?: number;
  /** A JSON body: whether nobody waits for it any more. `end` rejects with Abandoned then. */
  readonly cancelled?: Cancelled;
}

/**
 * Makes the masker of one body. Calls go one at a time: the next `push` or `end` only once the one before is answered.
 * Throws (or rejects with) UnreadableBody when the body cannot be read strictly; nothing more may be delivered then.
 */
export function createBodyMasker(options: BodyMaskerOptions): BodyMasker {
  const names = options.textMaskers?.namesOfBody?.();
  if (names === undefined || options.framing === 'none') return bodyMasker(options);
  const { noting, masking } = names;
  return new AskingBody(
    // Rules are asked about what is masked.
    bodyMasker({ ...options, textMaskers: noting, calls: undefined }),
    bodyMasker({ ...options, textMaskers: masking }),
    names,
  );
}

function bodyMasker(options: BodyMaskerOptions): BodyMasker {
  const { format, direction, maxJsonBytes = 16 * 1024 * 1024, maxEventBytes = 1024 * 1024 } = options;
  const masks = options.textMaskers && new Findings(options.textMaskers);
  const json = new JsonMasker(direction === 'request' ? format.requestText : format.responseText, masks, maxJsonBytes, {
    ...options,
    // A text is kept until it is known to be JSON.
    flow: options.framing === 'json' && direction === 'response' ? options.flow : undefined,
  });
  switch (options.framing) {
    case 'json':
      return format.streamsArrays && direction === 'response'
        ? new PiecewiseMasker(
            new JsonArrayMasker(format, masks, json, { maxItemBytes: maxJsonBytes, calls: options.calls }),
          )
        : json;
    case 'sse':
      return new PiecewiseMasker(new SseMasker(format, masks, maxEventBytes, options.calls));
    case 'ndjson':
      return new PiecewiseMasker(new NdjsonMasker(format, masks, maxEventBytes, options.calls));
    case 'text':
      return new PiecewiseMasker(new PlainMasker(json, masks));
    case 'none':
      return new NoBody();
    case 'opaque':
      // response.ts refuses it before: what is to be masked must be read.
      if (masks !== undefined) throw new UnreadableBody('a body that cannot be masked');
      return new OpaqueBody();
  }
}
