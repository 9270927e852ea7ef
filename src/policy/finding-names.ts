import type { LocatedPolicy } from './document.ts';
import { categoryNames, type DetectorResolver } from './rules.ts';

export interface FindingNames {
  readonly resolveDetectors: DetectorResolver;
  /** Detector ids whose matches are counted; undefined: all. */
  readonly detected: ReadonlySet<string> | undefined;
}

/** `"credit_crad" in request.findings` would be false for ever: names that are written out must exist, and be counted. */
export function problemWithFinding(name: string, { resolveDetectors, detected }: FindingNames): string | undefined {
  const resolved = resolveDetectors([name]);
  if (!resolved.ok) return resolved.problem;
  const { ids } = resolved;
  const isCounted = (id: string) => detected === undefined || detected.has(id);
  if (categoryNames.includes(name)) {
    if (ids.length === 0) return `no detector is in category "${name}": it is never found`;
    return ids.some(isCounted)
      ? undefined
      : `"${name}" is never found: record.detect names no detector of this category`;
  }
  if (ids.length !== 1 || ids[0] !== name)
    return `findings are counted by detector and by category; "${name}" is neither`;
  return isCounted(name) ? undefined : `"${name}" is never found: record.detect leaves it out`;
}

/** What answers are searched for beside `detected`: what a rule may mask in them. */
export function detectedInResponses(
  detected: readonly string[],
  sources: readonly LocatedPolicy[],
  resolve: DetectorResolver,
): ReadonlySet<string> {
  const ids = new Set(detected);
  for (const { document } of sources)
    for (const rule of document.spec.rules) {
      if (rule.then !== 'mask' || ![rule.on].flat().includes('response')) continue;
      const resolved = resolve(rule.detect);
      if (resolved.ok) for (const id of resolved.ids) ids.add(id);
    }
  return ids;
}
