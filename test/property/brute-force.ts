import type { Detector, Finding, Pattern } from '../../src/detect/detector.ts';
import { OTHER, OTHER_SIGN, SKIP, symbolOf } from '../../src/detect/fold.ts';
import { type Folded, type NearestWord, nearestWord } from './brute-context.ts';

interface Rule extends Pattern {
  readonly flags: string;
  /** Undefined for a decoy. */
  readonly detector: Detector | undefined;
}

/**
 * What `scan` must find, worked out from the definition with JavaScript's own RegExp and no automaton: at each position
 * the shortest match of an opener, else the longest confirmed match, else go on. Slow, and shares only the folding of
 * single characters with what it checks.
 */
export class BruteForce {
  readonly #rules: readonly Rule[];
  readonly #compiled = new Map<string, RegExp>();

  readonly #farthest: number;

  constructor(detectors: readonly Detector[]) {
    const flags = ({ ignoreCase }: Pattern) => (ignoreCase ? 'iuys' : 'uys');
    const patterns = (detector: Detector): readonly Pattern[] => [detector, ...(detector.also ?? [])];
    this.#rules = [
      ...detectors.flatMap((detector) =>
        patterns(detector).map((pattern): Rule => ({ ...pattern, flags: flags(pattern), detector })),
      ),
      ...detectors.flatMap((detector) =>
        (detector.decoys ?? []).map((pattern): Rule => ({ pattern, flags: flags(detector), detector: undefined })),
      ),
    ];
    const contexts = this.#rules
      .flatMap(({ context, unless }) => [context, unless])
      .filter((each) => each !== undefined);
    this.#farthest = Math.max(0, ...contexts.map(({ within = 64 }) => within));
  }

  scan(text: string): Finding[] {
    const whole = foldWithOffsets(text);
    const { folded, starts, ends } = whole;
    const findings: Finding[] = [];
    let at = 0;
    while (at < folded.length) {
      const opener = this.#opener(folded, at);
      if (opener !== undefined) {
        const { end, originalEnd } = this.#swallow(opener.detector, folded, opener.end, starts, ends, text.length);
        findings.push({ detector: opener.detector.id, start: starts[at]!, end: originalEnd });
        at = end;
        continue;
      }
      const match = this.#longest(whole, at);
      if (match?.rule.detector !== undefined)
        findings.push({ detector: match.rule.detector.id, start: starts[at]!, end: ends[match.end - 1]! });
      at = match?.end ?? at + 1;
    }
    return findings;
  }

  #opener(folded: string, at: number): { readonly detector: Detector; readonly end: number } | undefined {
    const openers = this.#rules.filter(
      (rule) => rule.detector?.swallow !== undefined && this.#begins(rule, folded, at),
    );
    for (let end = at + 1; openers.length > 0 && end <= folded.length; end++)
      for (const rule of openers) if (this.#exactly(rule, folded, at, end)) return { detector: rule.detector!, end };
    return undefined;
  }

  #longest(text: Folded, at: number): { readonly rule: Rule; readonly end: number } | undefined {
    const { folded } = text;
    const rules = this.#rules.filter((rule) => this.#begins(rule, folded, at));
    for (let end = folded.length; rules.length > 0 && end > at; end--) {
      const confirmed = rules
        .filter((rule) => this.#exactly(rule, folded, at, end))
        .filter((rule) => rule.validate?.(folded.slice(at, end)) ?? true)
        .filter((rule) => rule.confirms?.(text.original.slice(text.starts[at], text.ends[end - 1])) ?? true)
        .flatMap((rule) => {
          const distance = this.#distance(rule, text, at);
          return distance === undefined ? [] : [{ rule, distance }];
        });
      const best = confirmed.toSorted(
        (a, b) =>
          Number(a.rule.weak ?? false) - Number(b.rule.weak ?? false) ||
          Number(needsMore(a.rule)) - Number(needsMore(b.rule)) ||
          a.distance - b.distance,
      )[0];
      if (best !== undefined) return { rule: best.rule, end };
    }
    return undefined;
  }

  /** How far the words of a rule are; undefined: they say that it does not match. */
  #distance({ context, unless }: Rule, text: Folded, at: number): number | undefined {
    const from = text.starts[at]!;
    const near = nearestWord(text, from, context, this.#farthest);
    const against = nearestWord(text, from, unless, this.#farthest);
    if (context !== undefined && near === undefined) return undefined;
    return against !== undefined && isNearer(against, near) ? undefined : (near?.distance ?? 1000);
  }

  #swallow(
    { swallow }: Detector,
    folded: string,
    from: number,
    starts: readonly number[],
    ends: readonly number[],
    length: number,
  ): { readonly end: number; readonly originalEnd: number } {
    let end = from;
    if ('until' in swallow!) {
      const closer = new RegExp(`(?:${swallow.until})$`, 'u');
      while (++end <= folded.length)
        if (closer.test(folded.slice(from, end))) return { end, originalEnd: ends[end - 1]! };
      return { end: folded.length, originalEnd: length };
    }
    const body = new RegExp(swallow!.body, 'u');
    const joint = swallow!.joint === undefined ? undefined : new RegExp(swallow!.joint, 'u');
    const isBody = (index: number) => index < folded.length && body.test(folded[index]!);
    for (;;) {
      if (isBody(end)) end++;
      else if (end < folded.length && joint?.test(folded[end]!) && isBody(end + 1)) end += 2;
      else break;
    }
    return { end, originalEnd: starts[end] ?? length };
  }

  #begins(rule: Rule, folded: string, at: number): boolean {
    return this.#test(rule, '', folded, at);
  }

  #exactly(rule: Rule, folded: string, at: number, end: number): boolean {
    return this.#test(rule, `(?=[^]{${folded.length - end}}$)`, folded, at);
  }

  #test(rule: Rule, suffix: string, folded: string, at: number): boolean {
    const key = `${rule.flags} ${suffix} ${rule.pattern}`;
    const regexp = this.#compiled.get(key) ?? new RegExp(`(?:${rule.pattern})${suffix}`, rule.flags);
    this.#compiled.set(key, regexp);
    regexp.lastIndex = at;
    return regexp.test(folded);
  }
}

/** Of two words that end at the same place the longer one counts: `public key` speaks against what `key` speaks for. */
const isNearer = (against: NearestWord, near: NearestWord | undefined): boolean =>
  near === undefined ||
  against.distance < near.distance ||
  (against.distance === near.distance && against.start < near.start);

/** Whether its pattern alone is not enough. */
const needsMore = ({ detector, validate, confirms, context, unless }: Rule): boolean =>
  detector === undefined || (validate ?? confirms ?? context ?? unless) !== undefined;

function foldWithOffsets(text: string): Folded {
  let folded = '';
  let offset = 0;
  const starts: number[] = [];
  const ends: number[] = [];
  for (const char of text) {
    const symbol = symbolOf(char.codePointAt(0)!);
    if (symbol !== SKIP) {
      folded += symbol === OTHER ? OTHER_SIGN : String.fromCharCode(symbol);
      starts.push(offset);
      ends.push(offset + char.length);
    }
    offset += char.length;
  }
  return { original: text, folded, starts, ends };
}

/** The text with each finding replaced by its label. */
export function replaced(text: string, findings: readonly Finding[]): string {
  let out = '';
  let from = 0;
  for (const { detector, start, end } of findings) {
    out += `${text.slice(from, start)}<${detector.toUpperCase()}>`;
    from = end;
  }
  return out + text.slice(from);
}

/** Cuts a text into pieces of these lengths, again and again. */
export function cut(text: string, lengths: readonly number[]): readonly string[] {
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const length = lengths[i % lengths.length]!;
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}
