const quantifier = /\{(\d+)(?:,(\d*))?\}/y;
const property = /\\[pP]/g;
/** One that begins with `]` has it as a character; `[:alpha:]` is a part. */
const characterClass = /\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]?/sy;
const quoted = /\\Q.*?(?:\\E|$)/sy;
const repeatAtMost = 1000;

export interface PatternSize {
  /** About as many as its program gets, repeats written out. */
  readonly instructions: number;
  /** Unicode classes (`\pL`): each has hundreds of ranges. */
  readonly properties: number;
}

/**
 * How large a pattern (RE2 syntax) becomes, before it is compiled. Never much too small: what is odd (brackets that do not match)
 * counts for more.
 */
export function sizeOfPattern(pattern: string): PatternSize {
  // Per open group: what is in it so far. Then the size of the last element, which a quantifier repeats.
  const groups = [0];
  let last = 0;
  const add = (size: number) => {
    last = size;
    groups[groups.length - 1]! += size;
  };
  for (let i = 0; i < pattern.length; ) {
    const char = pattern[i]!;
    const text = char === '\\' ? at(quoted, pattern, i) : undefined;
    const set = char === '[' ? at(characterClass, pattern, i) : undefined;
    const repeat = char === '{' ? at(quantifier, pattern, i) : undefined;
    i += (text ?? set ?? repeat)?.[0].length ?? (char === '\\' ? 2 : 1);
    if (text !== undefined) add(text[0].length);
    else if (repeat !== undefined)
      groups[groups.length - 1]! += last * Math.min(repeatAtMost, Math.max(+repeat[1]!, +(repeat[2] ?? 0)));
    else if (char === '(') groups.push(1);
    else if (char === ')') {
      const inner = groups.pop()!;
      if (groups.length === 0) groups.push(0);
      add(inner + 1);
    } else add(1);
  }
  return {
    instructions: groups.reduce((sum, size) => sum + size, 0),
    properties: pattern.match(property)?.length ?? 0,
  };
}

function at(expression: RegExp, text: string, from: number): RegExpExecArray | undefined {
  expression.lastIndex = from;
  return expression.exec(text) ?? undefined;
}
