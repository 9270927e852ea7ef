import type { Work } from '../exchange/pace.ts';

/** Buffers put one behind the other, a step for each that is long: touching fresh memory is what takes its time. */
export function* joined(parts: readonly Buffer[]): Work<Buffer> {
  if (parts.length === 1) return parts[0]!;
  const all = Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    at += part.copy(all, at);
    if (part.length > 0) yield;
  }
  return all;
}
