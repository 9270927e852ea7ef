import type { Reading, RequestFacts } from './facts.ts';
import type { JsonObject } from './json.ts';
import type { Work } from './pace.ts';
import type { RuleNode } from './text-rules.ts';
import type { Words } from './words.ts';

/** Characters of a text that is worth a slice of its own for each step. */
const longText = 64 * 1024;

/** What a reader knows before all words are together; `unread`: beside what the words tell. */
export type KnownFacts = Omit<RequestFacts, 'text' | 'tokens' | 'bytes' | 'toolCall'>;

/** The body whose words are still to be found, but for those of the member `except`, which are in `words` already. */
export interface Rest {
  readonly words: Words;
  readonly body: JsonObject;
  readonly rule: RuleNode;
  readonly except: string;
  /** Length of the body. */
  readonly bytes: number;
}

/** The facts with every text of the body, in slices. */
export function* withTexts(known: KnownFacts, { words, body, rule, except, bytes }: Rest): Work<Reading<RequestFacts>> {
  yield* words.collect(body, rule, except);
  if (bytes > longText) yield;
  const text = words.text();
  const tokens = yield* words.tokens();
  const unread = known.unread || words.unread;
  return { ok: true, value: { ...known, text, toolCall: undefined, unread, tokens, bytes } };
}
