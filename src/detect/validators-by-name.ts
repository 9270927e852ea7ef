import { iso7064Mod11_10, plain, remainder, verhoeff } from './check-digits.ts';
import { detectors } from './registry.ts';
import { luhn } from './validators.ts';

const numbersOf = (candidate: string): string =>
  plain(candidate).replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));

/** Check digits by name. All pass over what is neither letter nor digit. */
const checks: readonly (readonly [string, (candidate: string) => boolean])[] = [
  ['luhn', luhn],
  ['verhoeff', verhoeff],
  // ISO 7064 MOD 97-10, as for a LEI: letters are 10 to 35, the two check digits are the last.
  ['mod97', (candidate) => remainder(numbersOf(candidate), 97) === 1],
  // ISO 7064 MOD 11,10.
  ['mod11_10', (candidate) => iso7064Mod11_10(plain(candidate))],
];

/** What detectors of users may ask for: these, and a built-in detector's own check by its id. */
export const validators: ReadonlyMap<string, (candidate: string) => boolean> = new Map([
  ...checks,
  ...detectors.flatMap(({ id, validate }) => (validate === undefined ? [] : [[id, validate] as const])),
]);

export const checkNames: readonly string[] = checks.map(([name]) => name);
