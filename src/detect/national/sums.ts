import { digitsOf } from '../validators.ts';

/** Arithmetic that the check digits of several countries share. */

/** Sum of the digits of a text, each times the weight at its place; digits beyond the weights are left out. */
export function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, i) => sum + weight * (digits.charCodeAt(i) - 48), 0);
}

/** Whether all characters are the same one. */
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

const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether a month (1 to 12) has this day; 29 February where the year is not known, or a leap year. */
export function isDay(month: number, day: number, year?: number): boolean {
  const days = daysOfMonth[month - 1];
  if (days === undefined || day < 1 || day > days) return false;
  return month !== 2 || day < 29 || year === undefined || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
}

/** Whether six digits are a date without its century, `YYMMDD`. */
export const isShortDate = (digits: string): boolean => isDay(Number(digits.slice(2, 4)), Number(digits.slice(4, 6)));
