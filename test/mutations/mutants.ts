/**
 * Bugs that are planted one at a time (`npm run mutants`): each is a change of one place in the source, and the tests of
 * detection and masking must notice it. What is replaced must be in its file exactly once.
 */
export interface Mutant {
  readonly name: string;
  /** In `src/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** What would go wrong for a user. */
  readonly harm: string;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'stale-left-context',
    file: 'detect/scanner.ts',
    find: 'this.#afterWord = this.#automaton.word[last]!;\n    this.#state = DEAD;\n    this.#from = bestEnd;',
    replace: 'this.#state = DEAD;\n    this.#from = bestEnd;',
    harm: 'after a match the next one begins, or not, by what stood before the first',
  },
  {
    name: 'first-confirmed-wins',
    file: 'detect/scanner.ts',
    find: 'if (best >= 0 && end < bestEnd) break;',
    replace: '',
    harm: 'a shorter match wins: the end of a value leaves unmasked',
  },
  {
    name: 'rules-in-reverse',
    file: 'detect/scanner.ts',
    find: ': rule < other;',
    replace: ': rule > other;',
    harm: 'a value gets the name of another detector, depending on nothing',
  },
  {
    name: 'candidates-not-moved',
    file: 'detect/scanner.ts',
    find: 'for (let i = 1; i < candidates.length; i += 3) candidates[i]! -= length;',
    replace: '',
    harm: 'a match that is split over two events is masked at the wrong place',
  },
  {
    name: 'edge-forgotten-at-the-end',
    file: 'detect/scanner.ts',
    find: 'if ((state & ACCEPTS_AT_EDGE) !== 0) this.#noteEdges(state, read, readEnd, 0);',
    replace: '',
    harm: 'the last word of an answer is never a match',
  },
  {
    name: 'state-of-another-generation',
    file: 'detect/scanner.ts',
    find: 'if (this.#state !== DEAD && this.#generation !== this.#dfa.generation) ',
    replace: 'if (this.#generation < 0) ',
    harm: 'when the cache of states was dropped, a channel goes on in a state that means something else',
  },
  {
    name: 'swallow-ends-at-a-joint',
    file: 'detect/scanner.ts',
    find: 'if (role === 0 || (role === 2 && waiting)) {',
    replace: 'if (role !== 1) {',
    harm: 'a JWT is masked up to its first dot',
  },
  {
    name: 'context-forgotten',
    file: 'detect/scanner.ts',
    find: 'this.#before += length > MAX_CONTEXT ? ownText(gone.slice(-MAX_CONTEXT)) : gone;',
    replace: '',
    harm: 'a number is found or not by where the transport cut the words before it',
  },
  {
    name: 'word-from-the-middle',
    file: 'detect/context.ts',
    find: "if (text !== '' && first === least) parts.push({ text, start, end });",
    replace: "if (text !== '') parts.push({ text, start, end });",
    harm: 'the end of a longer word counts as a word where what is looked at begins',
  },
  {
    name: 'veto-ignored',
    file: 'detect/scanner.ts',
    find: 'return against !== undefined && against < near ? -1 : near;',
    replace: 'return near;',
    harm: 'order numbers are masked as telephone numbers',
  },
  {
    name: 'digits-of-one-script',
    file: 'detect/fold.ts',
    find: 'if (digit.test(char)) return 48 + digitValue(point);',
    replace: 'if (/^[0-9]$/.test(char)) return 48 + digitValue(point);',
    harm: 'a card in Arabic digits passes',
  },
  {
    name: 'flushed-while-swallowing',
    file: 'mask/text.ts',
    find: 'const out = scanner.swallowing ? this.#out : this.#out + rest;',
    replace: 'const out = this.#out + rest;',
    harm: 'a private key leaves line by line behind its label',
  },
  {
    name: 'tail-lost',
    file: 'mask/text.ts',
    find: "    this.#ended = true;\n    return this.#advance('', true);",
    replace: "    this.#ended = true;\n    return '';",
    harm: 'the last characters of an answer never arrive',
  },
  {
    name: 'invisible-not-counted',
    file: 'mask/text.ts',
    find: 'if (this.#invisible <= MAX_INVISIBLE) continue;',
    replace: 'if (this.#invisible >= 0) continue;',
    harm: 'zero-width characters make a stream hold back as much as a model likes',
  },
  {
    name: 'half-of-a-pair',
    file: 'mask/channel.ts',
    find: 'if (last >= 0xd800 && last <= 0xdbff) {',
    replace: 'if (last > 0xffff) {',
    harm: 'an event ends in half of an emoji, and a strict client breaks off',
  },
  {
    name: 'choices-in-one-channel',
    file: 'mask/text-reader.ts',
    find: "if (typeof step === 'object') key += `[$\u{7b}step.item}]`;",
    replace: "if (typeof step === 'object') key += '[0]';",
    harm: 'the texts of two choices are read as one: false matches, and text in the wrong choice',
  },
  {
    name: 'carrier-dropped',
    file: 'mask/sse.ts',
    find: "this.out += this.text.slice(this.copied) + this.carried(this.events.end(), 'data: ');",
    replace: 'this.out += this.text.slice(this.copied);',
    harm: 'a stream without [DONE] loses what was held',
  },
  {
    name: 'carrier-in-the-wrong-place',
    file: 'exchange/carrier.ts',
    find: '[...Array(step.item).fill({}), value]',
    replace: '[value]',
    harm: 'held text of the second choice arrives in the first',
  },
  {
    name: 'arguments-not-escaped',
    file: 'mask/escaped-string.ts',
    find: "return untouched ? spelling.join('') : jsonInside(out);",
    replace: "return untouched ? spelling.join('') : out;",
    harm: 'arguments of a tool call are no JSON any more',
  },
  {
    name: 'seam-ignored',
    file: 'mask/whole-text.ts',
    find: 'const seam = this.seam(text.slice(0, seamLength));',
    replace: 'const seam = undefined as string | undefined;',
    harm: 'a secret in two function names, one behind the other, appears in a client that joins them',
  },
  {
    name: 'line-ends-merged',
    file: 'exchange/sse.ts',
    find: 'afterCr = byte === CR;',
    replace: 'afterCr = false;',
    harm: 'an event in CRLF that the transport cuts is two events',
  },
];
