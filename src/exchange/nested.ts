import type { PathStep } from './format.ts';

/** An object that has nothing but a text at a path. Items of arrays stand in their place, or say it by their `index`. */
export function nested(path: readonly PathStep[], text: string): Record<string, unknown> {
  let value: unknown = text;
  for (const step of path.toReversed()) {
    if (typeof step === 'string') value = { [step]: value };
    else if (!step.indexed || typeof value !== 'object') value = [...Array(step.item).fill({}), value];
    else value = [{ ...value, index: step.item }];
  }
  return value as Record<string, unknown>;
}
