import { isDay, isDmy, isYmd, luhn, plain, weightedSum } from '../check-digits.ts';

/** A Finnish personal identity code: a day of birth, and the control character by the remainder modulo 31. */
export function isHetu(candidate: string): boolean {
  const text = candidate.toUpperCase();
  const number = Number(text.slice(0, 6) + text.slice(7, 10));
  return isDmy(text) && '0123456789ABCDEFHJKLMNPRSTUVWXY'[number % 31] === text[10];
}

/** A Swedish personal or coordination number (60 more in its day): Luhn over its last ten digits. */
export function isPersonnummer(candidate: string): boolean {
  const digits = plain(candidate).slice(-10);
  const day = Number(digits.slice(4, 6));
  return isDay(Number(digits.slice(0, 2)), Number(digits.slice(2, 4)), day > 60 ? day - 60 : day) && luhn(digits);
}

/** As `isPersonnummer`, of twelve digits that are not a time of this century to the minute (`202401151030`). */
export const isLongPersonnummer = (candidate: string): boolean =>
  !/^20\d{6}(?:[01]\d|2[0-3])[0-5]\d$/.test(candidate) && isPersonnummer(candidate);

/** A Swedish organisation number: the third digit, at least 2, keeps it from a day of birth. */
export function isOrganisationsnummer(candidate: string): boolean {
  const digits = plain(candidate).slice(-10);
  return digits.charCodeAt(2) > 49 && luhn(digits);
}

/** A Danish CPR number: a day of birth. Since 2007 its check digit need not be right. */
export const isCpr = (candidate: string): boolean => isDmy(plain(candidate));

/** As `isCpr`, with the check digit of old (modulo 11). */
export function isCprWithCheck(candidate: string): boolean {
  const digits = plain(candidate);
  return isDmy(digits) && weightedSum(digits, [4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
}

/** A Norwegian number: a day of birth (40 more in the day of a D number, or in the month of an H number), two check digits. */
export function isFodselsnummer(candidate: string): boolean {
  const digits = plain(candidate);
  const day = Number(digits.slice(0, 2));
  const month = Number(digits.slice(2, 4));
  return (
    isDay(Number(digits.slice(4, 6)), month > 40 ? month - 40 : month, day > 40 ? day - 40 : day) &&
    weightedSum(digits, [3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11 === 0 &&
    weightedSum(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0
  );
}

/** An Icelandic kennitala: a day of birth, weights 3, 2, 7 to 2 modulo 11, and a century. */
export function isKennitala(candidate: string): boolean {
  const digits = plain(candidate);
  return isDmy(digits) && /[089]$/.test(digits) && weightedSum(digits, [3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
}

// What the digits of an Estonian or Lithuanian code weigh, and what they do where that leaves 10.
const first = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1];
const second = [3, 4, 5, 6, 7, 8, 9, 1, 2, 3];

/** An Estonian or a Lithuanian personal code: sex and century, a day of birth, modulo 11 in two steps. */
export function isBalticCode(digits: string): boolean {
  const rest = weightedSum(digits, first) % 11;
  const check = rest < 10 ? rest : (weightedSum(digits, second) % 11) % 10;
  return /^[1-8]/.test(digits) && isYmd(digits, 1) && check === digits.charCodeAt(10) - 48;
}

/** A Latvian personal code: a day of birth and a check digit, or, since 2017, 32 and neither of both. */
export function isPersonasKods(candidate: string): boolean {
  const digits = plain(candidate);
  if (/^3[2-9]/.test(digits)) return true;
  const sum = 1 + weightedSum(digits, [10, 5, 8, 4, 2, 1, 6, 3, 7, 9]);
  return isDmy(digits) && (sum % 11) % 10 === digits.charCodeAt(10) - 48;
}

/** As `isPersonasKods`, of the codes that have a check digit. */
export const isPersonasKodsWithDay = (candidate: string): boolean =>
  !/^3[2-9]/.test(candidate) && isPersonasKods(candidate);

/** As `isKennitala`, of those that are no Danish numbers with a right check digit. */
export const isOnlyKennitala = (candidate: string): boolean => isKennitala(candidate) && !isCprWithCheck(candidate);
