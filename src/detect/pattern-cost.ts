/**
 * What a pattern that users wrote may cost. From each character where a match may begin the scanner goes on for as long as one may still
 * come, so a character costs `MAX_MATCH` steps at most. A step is some nanoseconds once its state is known, and a thousand
 * times as much when it is not: all states of a pattern must fit in the automaton's cache (`AutomatonOptions.maxStates`).
 */
import type { Automaton } from './automaton.ts';
import { DEAD } from './dfa.ts';

/** Longest match of a pattern, in folded characters, where nothing else is said. */
const MAX_MATCH = 200;
const MAX_STATES = 4000;

/** What makes a pattern cost too much, or undefined. A step is a state: some tens of microseconds. */
export function* problemWithCost(
  automaton: Automaton,
  { maxMatch = MAX_MATCH }: { readonly maxMatch?: number } = {},
): Generator<undefined, string | undefined, undefined> {
  const { dfa, maxLength, word } = automaton;
  if (maxLength > maxMatch) return `a match could be ${maxLength} characters long; at most ${maxMatch} here`;
  const states = new Set<number>();
  const classes = word.length;
  for (const afterWord of [0, 1])
    for (let symbol = 0; symbol < classes; symbol++) states.add(dfa.begin(afterWord, symbol));
  // What is added meanwhile is walked over, too.
  for (const state of states) {
    if (state === DEAD) continue;
    for (let symbol = 0; symbol < classes; symbol++) states.add(dfa.step(state, symbol));
    if (states.size > MAX_STATES)
      return `needs an automaton of more than ${MAX_STATES} states: repeat fewer choices, or write several patterns`;
    yield;
  }
  return undefined;
}
