import type { PathStep } from './format.ts';

/** A JSON text with nothing but a header and one text at its path: items before it in an array are empty objects. */
export function carrierAt(header: string, path: readonly PathStep[], text: string): string {
  let value: unknown = text;
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const step = path[depth]!;
    value = typeof step === 'string' ? { [step]: value } : [...Array(step.item).fill({}), value];
  }
  const body = JSON.stringify(value);
  return header === '' || !body.startsWith('{') ? body : `{${header},${body.slice(1)}`;
}
