/** Arithmetic of check digits, and of dates written into numbers. All take plain digits (or letters) without separators. */

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

/** Whether all digits are the same: right by many a checksum, and given to nobody. */
export const isOneDigit = (digits: string): boolean => /^(\d)\1*$/.test(digits);

const daysOf = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A day of the calendar; of a year of two digits, 29 February of any year that may be a leap year in some century. */
export function isDay(year: number, month: number, day: number): boolean {
  if (!(month >= 1 && month <= 12 && day >= 1)) return false;
  const isLeap = year % 4 === 0 && (year < 100 || year % 100 !== 0 || year % 400 === 0);
  return day <= (month === 2 && isLeap ? 29 : daysOf[month - 1]!);
}

/** `YYMMDD` at an offset. */
export const isYmd = (digits: string, at = 0): boolean =>
  isDay(Number(digits.slice(at, at + 2)), Number(digits.slice(at + 2, at + 4)), Number(digits.slice(at + 4, at + 6)));

/** `DDMMYY` at an offset. */
export const isDmy = (digits: string, at = 0): boolean =>
  isDay(Number(digits.slice(at + 4, at + 6)), Number(digits.slice(at + 2, at + 4)), Number(digits.slice(at, at + 2)));
