import { isDmy, isMonotone, isYmd, luhn, plain, remainder, weightedSum } from '../check-digits.ts';

/** A French NIR: sex, year, month (also beyond 20 where it is not known), department, and a key modulo 97. */
export function isNir(candidate: string): boolean {
  const text = plain(candidate);
  if (!isNirWithoutKey(text)) return false;
  const digits = text.replace('2A', '19').replace('2B', '18');
  return 97 - remainder(digits.slice(0, 13), 97) === Number(digits.slice(13));
}

/** The first thirteen of a NIR: Corsica's departments are 2A and 2B. */
export const isNirWithoutKey = (candidate: string): boolean =>
  /^[1-478]\d\d(?:0[1-9]|1[0-2]|[2-4]\d|[5-9]\d)(?:0[1-9]|[1-8]\d|9[0-9]|2[AB])\d{6}/.test(plain(candidate));

/** A SIREN, or a SIRET that begins with one: Luhn; the establishments of La Poste have a sum of digits instead. */
export function isSiret(candidate: string): boolean {
  const digits = plain(candidate);
  if (isMonotone(digits)) return false;
  if (digits.startsWith('356000000') && digits.length === 14)
    return weightedSum(digits, new Array<number>(14).fill(1)) % 5 === 0 || luhn(digits);
  return luhn(digits) && luhn(digits.slice(0, 9));
}

/** A Dutch BSN: weights 9 to 2 and -1, modulo 11 (the eleven test). */
export function isBsn(candidate: string): boolean {
  const digits = plain(candidate);
  return !isMonotone(digits) && weightedSum(digits, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0;
}

/** A Belgian national number: a day of birth (20 or 40 more in the month of a BIS number), modulo 97; since 2000 with a 2 before. */
export function isBelgianNumber(candidate: string): boolean {
  const digits = plain(candidate);
  const month = String(Number(digits.slice(2, 4)) % 20).padStart(2, '0');
  const born = digits.slice(0, 2) + month + digits.slice(4, 6);
  if (!isYmd(born) && !/^\d\d(?:00|20|40)|^\d{4}00/.test(digits)) return false;
  const check = Number(digits.slice(9));
  const number = digits.slice(0, 9);
  return 97 - remainder(number, 97) === check || 97 - remainder(`2${number}`, 97) === check;
}

/** An Irish PPS number: weights 8 to 2, nine times the second letter, modulo 23. */
export function isPps(candidate: string): boolean {
  const text = plain(candidate);
  const second = text.length > 8 && text[8] !== 'W' ? text.charCodeAt(8) - 64 : 0;
  const sum = weightedSum(text, [8, 7, 6, 5, 4, 3, 2]) + 9 * second;
  return text[7] === 'WABCDEFGHIJKLMNOPQRSTUV'[sum % 23];
}

/** An Austrian insurance number: the check digit is the fourth; then the day of birth (months 13 to 15 where days ran out). */
export function isAustrianNumber(candidate: string): boolean {
  const digits = plain(candidate);
  const month = Number(digits.slice(6, 8));
  if (digits.startsWith('0') || !(month > 12 && month < 16 ? true : isDmy(digits, 4))) return false;
  return weightedSum(digits, [3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 === digits.charCodeAt(3) - 48;
}

/** A Swiss insurance number: an EAN-13 that begins with 756. */
export function isAhv(candidate: string): boolean {
  return weightedSum(plain(candidate), [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
}
