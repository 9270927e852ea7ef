/** Arithmetic of check digits, and of dates written into numbers. All take plain digits (or letters) without separators. */

import { digitsOf } from './validators.ts';

export { luhn } from './validators.ts';

/** Letters and digits of a text, in capitals. */
export const plain = (text: string): string => text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();

/** The sum of digits, each times the weight at its place; digits without a weight do not count. */
export function weightedSum(digits: string, weights: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += (digits.charCodeAt(i) - 48) * weights[i]!;
  return sum;
}

/** As `weightedSum`, of the decimal digits of each product (VKVV section 4). */
export function weightedCrossSum(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, i) => {
    const product = (digits.charCodeAt(i) - 48) * weight;
    return sum + Math.floor(product / 10) + (product % 10);
  }, 0);
}

/** The last digit by ISO/IEC 7064 MOD 11,10. */
export function iso7064Mod11_10(digits: string): boolean {
  let product = 10;
  for (let i = 0; i < digits.length - 1; i++) {
    const sum = (digits.charCodeAt(i) - 48 + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (product + digits.charCodeAt(digits.length - 1) - 48) % 10 === 1;
}

/** The remainder of a number of any length. */
export function remainder(digits: string, by: number): number {
  let rest = 0;
  for (let i = 0; i < digits.length; i++) rest = (rest * 10 + digits.charCodeAt(i) - 48) % by;
  return rest;
}

/** The check digit of machine-readable travel documents: weights 7, 3, 1; A is 10 (ICAO Doc 9303 part 3, 4.9). */
export function icaoCheckDigit(text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum += Number.parseInt(text[i]!, 36) * [7, 3, 1][i % 3]!;
  return sum % 10;
}

/** Whether all characters are the same one: right by many a checksum, and given to nobody. */
export const isMonotone = (text: string): boolean => text === text.charAt(0).repeat(text.length);

// The dihedral group of order ten, and the permutation applied once a place (J. Verhoeff, 1969).
const products = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
];
const permutations = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
];

/** Verhoeff's check digit, over all digits of a text. */
export function verhoeff(candidate: string): boolean {
  const digits = digitsOf(candidate);
  let check = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    check = Number(products[check]![Number(permutations[i % 8]![digit])]);
  }
  return check === 0;
}

const daysOf = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A day of the calendar; 29 February of a year of two digits that is a leap year in some century, or of one not known. */
export function isDay(year: number | undefined, month: number, day: number): boolean {
  const days = daysOf[month - 1];
  if (days === undefined || !(day >= 1 && day <= days)) return false;
  if (month !== 2 || day < 29 || year === undefined) return true;
  return year % 4 === 0 && (year < 100 || year % 100 !== 0 || year % 400 === 0);
}

/** `YYMMDD` at an offset. */
export const isYmd = (digits: string, at = 0): boolean =>
  isDay(Number(digits.slice(at, at + 2)), Number(digits.slice(at + 2, at + 4)), Number(digits.slice(at + 4, at + 6)));

/** `DDMMYY` at an offset. */
export const isDmy = (digits: string, at = 0): boolean =>
  isDay(Number(digits.slice(at + 4, at + 6)), Number(digits.slice(at + 2, at + 4)), Number(digits.slice(at, at + 2)));
