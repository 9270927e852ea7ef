/**
 * What a model entry admits unread (`formats: [opaque]`): any path below its `match.paths` that is no other format's. Its
 * request is read in opaque-request.ts; its answer is masked like one of which nothing is known.
 */
import { carrierAt } from './carrier.ts';
import type { Format } from './format.ts';
import { textRules } from './text-rules.ts';

const everything = textRules({});
/**
 * Events and lines of a stream may be pieces of one text or records by themselves: nobody knows. Each value is masked by
 * itself, and one that would complete a match with those before it is replaced: no match stands in either reading.
 */
const eachByItself = textRules({ '**': 'whole' });

/** What the record keeps of an opaque request, as JSON (mask/opaque.ts): its text, length and digest. */
const kept = textRules({ 'opaque.bytes': 'structural', 'opaque.sha256': 'structural', 'opaque.text': 'whole' });

export const opaque: Format = {
  id: 'opaque',
  endpoint: () => undefined,
  paths: [],
  // biome-ignore lint/correctness/useYield: work of no step.
  *facts() {
    throw new Error('an opaque request is read as bytes');
  },
  requestText: kept,
  responseText: everything,
  eventText: eachByItself,
  // Streams that end so are everywhere, and it is no JSON.
  isTerminal: (data) => data.trim() === '[DONE]',
  carrier: carrierAt,
  error: ({ code, row, message }) => JSON.stringify({ error: { message, type: row.type, param: null, code } }),
  modelListPaths: [],
  modelList: () => '[]',
};
