/** What a match becomes: named by rules, carried by plans, carried out by maskers (mask/operators.ts). */

/** By what they let be known of the value, the least first. */
export const operatorTypes = ['redact', 'replace', 'hash', 'encrypt', 'pseudonym', 'mask'] as const;

export type OperatorType = (typeof operatorTypes)[number];

export type Operator =
  | { readonly type: Exclude<OperatorType, 'mask'> }
  | {
      readonly type: 'mask';
      /** Letters and digits at the end that stay; never more than a quarter of them. */
      readonly keepLast: number;
      /** The character that the others become. */
      readonly with: string;
    };

/** Detector id → operator, where that is not `replace`. */
export type Operators = Readonly<Record<string, Operator>>;

/** Detectors that are masked, sorted, and by what. */
export interface Masking {
  readonly ids: readonly string[];
  readonly operators: Operators;
}

export const noMasking: Masking = { ids: [], operators: {} };

const replace: Operator = { type: 'replace' };

/** The one of two that lets less be known. */
export function leastRevealing(one: Operator, other: Operator): Operator {
  const order = operatorTypes.indexOf(one.type) - operatorTypes.indexOf(other.type);
  if (order !== 0 || one.type !== 'mask' || other.type !== 'mask') return order <= 0 ? one : other;
  if (one.keepLast !== other.keepLast) return one.keepLast < other.keepLast ? one : other;
  return one.with <= other.with ? one : other;
}

export const operatorOf = (operators: Operators | undefined, id: string): Operator => operators?.[id] ?? replace;

/** Each detector of either; one that is in both by the operator that lets less be known. */
export function bothMasked(one: Masking, other: Masking): Masking {
  if (one.ids.length === 0 || other.ids.length === 0) return one.ids.length === 0 ? other : one;
  const known = together.get(one)?.get(other);
  if (known !== undefined) return known;
  const [ofOne, ofOther] = [new Set(one.ids), new Set(other.ids)];
  const ids = [...ofOne.union(ofOther)].sort();
  const operators: Record<string, Operator> = {};
  for (const id of ids) {
    const operator = !ofOther.has(id)
      ? operatorOf(one.operators, id)
      : !ofOne.has(id)
        ? operatorOf(other.operators, id)
        : leastRevealing(operatorOf(one.operators, id), operatorOf(other.operators, id));
    if (operator.type !== 'replace') operators[id] = operator;
  }
  const both = { ids, operators };
  together.set(one, (together.get(one) ?? new WeakMap()).set(other, both));
  return both;
}

// The same few rules mask together all the time.
const together = new WeakMap<Masking, WeakMap<Masking, Masking>>();

/** Whether what `other` masks is masked already, by operators that let no more be known. */
export function coversMasking(one: Masking, other: Masking): boolean {
  if (other.ids.length === 0) return true;
  const ids = new Set(one.ids);
  return other.ids.every((id) => {
    const here = operatorOf(one.operators, id);
    return ids.has(id) && leastRevealing(here, operatorOf(other.operators, id)) === here;
  });
}
