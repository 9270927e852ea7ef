import {
  icaoCheckDigit,
  isDay,
  isMonotone,
  iso7064Mod11_10,
  plain,
  weightedCrossSum,
  weightedSum,
} from '../check-digits.ts';

/** A tax identification number: MOD 11,10, and no digit more than three times among the first ten (BZSt). */
export function isSteuerId(candidate: string): boolean {
  const digits = plain(candidate);
  if (digits.startsWith('0') || !iso7064Mod11_10(digits)) return false;
  for (const digit of '0123456789') if (digits.slice(0, 10).split(digit).length > 4) return false;
  return true;
}

// Länder as ELSTER writes them: the first digits of a tax number of thirteen, or the numbers of AGS.
const elster = /^(?:(?:0[1-9]|1[0-6])\d{11}|(?:5|9|10|11|2[1-4]|2[678]|3[0-2]|4[01])\d{2,3}0\d{8})$/;

/** A tax number of thirteen digits, as ELSTER sends it: begins with its Land. It has a check digit by Land, not looked at. */
export const isElsterNumber = (candidate: string): boolean => elster.test(candidate);

/** A pension insurance number: area, day of birth (50 more where there were too many), initial, serial, check digit. */
export function isRentenversicherung(candidate: string): boolean {
  const text = plain(candidate);
  const day = Number(text.slice(2, 4));
  if (!isDay(Number(text.slice(6, 8)), Number(text.slice(4, 6)), day > 50 ? day - 50 : day)) return false;
  const letter = String(text.charCodeAt(8) - 64).padStart(2, '0');
  const sum = weightedCrossSum(text.slice(0, 8) + letter + text.slice(9, 11), [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]);
  return sum % 10 === text.charCodeAt(11) - 48;
}

/** A health insurance number: the letter as two digits, weights 1 and 2 in turn, sums of digits, modulo 10. */
export function isKvnr(candidate: string): boolean {
  const text = plain(candidate);
  const letter = String(text.charCodeAt(0) - 64).padStart(2, '0');
  const sum = weightedCrossSum(letter + text.slice(1, 9), [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
  return sum % 10 === text.charCodeAt(9) - 48;
}

/** A physician's number: weights 4 and 9 in turn over six digits, the seventh makes them a multiple of ten. */
export const isLanr = (digits: string): boolean =>
  !isMonotone(digits) && (10 - (weightedSum(digits, [4, 9, 4, 9, 4, 9]) % 10)) % 10 === digits.charCodeAt(6) - 48;

/** A serial number of a document whose last digit is its check digit. */
export function isDocument(candidate: string): boolean {
  const text = plain(candidate);
  return icaoCheckDigit(text.slice(0, -1)) === Number(text.at(-1));
}

/** As `isDocument`, of a passport that no other country's looks like (`AB1234567`, `C12345678`, `R123A4567`). */
export const isGermanDocument = (candidate: string): boolean =>
  /^[CFGHJK]/.test(candidate) && !/^[A-Z]{1,3}\d+$/.test(candidate) && isDocument(candidate);

/** A serial number without its check digit: some of it are digits. */
export const isSerial = (candidate: string): boolean => candidate.replace(/\D/g, '').length > 2;

/** A licence number: digits are most of it. */
export const isLicence = (candidate: string): boolean => candidate.replace(/\D/g, '').length > 5;

export const isPostleitzahl = (digits: string): boolean => digits > '01000' && digits < '99999';

/** A VAT number: MOD 11,10 over its nine digits (not published by the BZSt; known from VIES). */
export const isUstId = (candidate: string): boolean => iso7064Mod11_10(plain(candidate).slice(2));
