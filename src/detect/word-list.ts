/** Words as one pattern: a tree of their beginnings, so that a text follows one path however many words there are. */
import type { Pattern } from './detector.ts';
import { OTHER, SKIP, symbolOf } from './fold.ts';
import { canonicalValue } from './keyed-hash.ts';

export interface WordOptions {
  /** Only as whole words (letters, digits and `_` end none); otherwise inside of words, too. */
  readonly whole: boolean;
}

interface Branch {
  readonly next: Map<string, Branch>;
  ends: boolean;
}

/** What stands between the words of a phrase. */
const GAP = String.raw`(?:[ \t_\-]|\r?\n){1,2}`;
const OTHER_CLASS = String.raw`[^\x00-\x7f]`;

/**
 * One pattern for each kind of edge that the words have. Words in other than Latin letters are confirmed by the text as it is.
 * Words without a visible character are left out; `words` may be empty.
 */
export function wordPatterns(words: readonly string[], { whole }: WordOptions): Pattern[] {
  const trees = new Map<string, { readonly tree: Branch; readonly others: Set<string> }>();
  for (const word of words) {
    const steps = stepsOf(word);
    if (steps.length === 0) continue;
    const edge = (step: string) => (whole && /^\w$/.test(step) ? String.raw`\b` : '');
    const key = `${edge(steps[0]!)} ${edge(steps.at(-1)!)} ${steps.includes(OTHER_CLASS)}`;
    const { tree, others } = trees.get(key) ?? { tree: { next: new Map(), ends: false }, others: new Set<string>() };
    trees.set(key, { tree, others });
    if (steps.includes(OTHER_CLASS)) others.add(spaced(word));
    let at: Branch = tree;
    for (const step of steps) {
      const next = at.next.get(step) ?? { next: new Map(), ends: false };
      at.next.set(step, next);
      at = next;
    }
    at.ends = true;
  }
  return [...trees].map(([key, { tree, others }]) => {
    const [left, right] = key.split(' ');
    return {
      pattern: `${left}${sourceOf(tree)}${right}`,
      ignoreCase: true,
      ...(others.size > 0 && { confirms: (original: string) => others.has(spaced(original)) }),
    };
  });
}

const spaced = (text: string): string => canonicalValue(text).replace(/[\s_-]+/gu, ' ');

/** A word as what is matched one after the other: characters in lower case, gaps. */
function stepsOf(word: string): string[] {
  const steps: string[] = [];
  for (const char of word.trim()) {
    const symbol = symbolOf(char.codePointAt(0)!);
    if (symbol === SKIP) continue;
    if (symbol === OTHER) steps.push(OTHER_CLASS);
    else if (symbol <= 32 || symbol === 45 || symbol === 95) {
      if (steps.at(-1) !== GAP) steps.push(GAP);
    } else steps.push(String.fromCharCode(symbol).toLowerCase());
  }
  while (steps.at(-1) === GAP) steps.pop();
  while (steps[0] === GAP) steps.shift();
  return steps;
}

function sourceOf(tree: Branch): string {
  const choices = [...tree.next].map(([step, next]) => {
    const char = step.length === 1 ? step.replace(/[\\^$.*+?()[\]{}|/]/, String.raw`\$&`) : step;
    return char + sourceOf(next);
  });
  if (choices.length === 0) return '';
  if (choices.length === 1 && !tree.ends) return choices[0]!;
  return `(?:${choices.join('|')})${tree.ends ? '?' : ''}`;
}
