import { contact } from './contact.ts';
import { crypto } from './crypto.ts';
import { dates } from './dates.ts';
import type { Category, Detector } from './detector.ts';
import { devices } from './devices.ts';
import { finance } from './finance.ts';
import { health } from './health.ts';
import { europe } from './national/europe.ts';
import { world } from './national/world.ts';
import { network } from './network.ts';
import { secrets } from './secrets.ts';
import { urls } from './urls.ts';

/** Every detector there is. Where two match the same characters, the earlier one wins. */
export const detectors: readonly Detector[] = [
  ...secrets,
  ...urls,
  ...europe,
  ...world,
  ...finance,
  ...crypto,
  ...health,
  ...devices,
  ...contact,
  ...dates,
  ...network,
];

export const categories: readonly Category[] = ['pii', 'finance', 'health', 'secrets', 'network'];

/** A name that is neither a detector, nor a category, nor `all`. */
export class UnknownDetectorError extends Error {
  readonly code = 'unknown_detector';
  readonly detector: string;
  /** The nearest name that there is, if one is near. */
  readonly suggestion: string | undefined;
  constructor(name: string, known: readonly Detector[]) {
    const suggestion = nearest(name, known);
    super(
      `there is no detector or category "${name}"${suggestion === undefined ? '' : `; did you mean "${suggestion}"?`}`,
    );
    this.name = 'UnknownDetectorError';
    this.detector = name;
    this.suggestion = suggestion;
  }
}

/** Where detectors of one country are given out. */
const REGION = /^region:([a-z]{2})$/;

/** Whether a name means a detector: its id, one of its categories, `region:de` for its country, or `all`. */
function means(name: string, { id, categories: its, regions = [] }: Detector): boolean {
  if (name === 'all' || name === id || its.some((category) => category === name)) return true;
  const region = REGION.exec(name)?.[1];
  return region !== undefined && regions.includes(region);
}

/**
 * The detectors that these names mean: ids, categories, `region:de`, or `all`; each once, in the registry's order (so that equal
 * selections are equal). Throws UnknownDetectorError.
 */
export function selectDetectors(names: readonly string[], known: readonly Detector[] = detectors): readonly Detector[] {
  const selected = new Set<Detector>();
  for (const name of names) {
    const meant = known.filter((detector) => means(name, detector));
    if (meant.length === 0 && !categories.some((category) => category === name))
      throw new UnknownDetectorError(name, known);
    for (const detector of meant) selected.add(detector);
  }
  return known.filter((detector) => selected.has(detector));
}

function nearest(name: string, detectors: readonly Detector[]): string | undefined {
  const known = ['all', ...categories, ...detectors.map((detector) => detector.id)];
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase().replaceAll('-', '_'), candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0]!;
  if (best.distance <= Math.max(1, Math.floor(best.candidate.length / 3))) return best.candidate;
  return known.find((candidate) => name.length > 2 && candidate.includes(name.toLowerCase()));
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
