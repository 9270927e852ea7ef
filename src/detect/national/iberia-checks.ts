import { isMonotone, plain, weightedSum } from '../check-digits.ts';

/** The letter of a number: by its remainder modulo 23 (Orden INT/2058/2008). */
const letterOf = (number: number): string => 'TRWAGMYFPDXBNJZSQVHLCKE'.charAt(number % 23);

/** A DNI: seven or eight digits and their letter. */
export function isDni(candidate: string): boolean {
  const text = plain(candidate);
  const number = Number(text.slice(0, -1));
  return number > 0 && text.at(-1) === letterOf(number);
}

/** A NIE: X, Y or Z stands for 0, 1 or 2 before the digits. */
export function isNie(candidate: string): boolean {
  const text = plain(candidate);
  return text.at(-1) === letterOf(Number('XYZ'.indexOf(text[0]!) + text.slice(1, -1)));
}

/** The NIF of a company: Luhn over seven digits, as a digit or, for some kinds, as a letter; K, L and M have a DNI's letter. */
export function isCif(candidate: string): boolean {
  const text = plain(candidate);
  if (/^[KLM]/.test(text)) return text.at(-1) === letterOf(Number(text.slice(1, 8)));
  let sum = 0;
  for (let i = 1; i < 8; i++) {
    const digit = text.charCodeAt(i) - 48;
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  const check = (10 - (sum % 10)) % 10;
  return /^[A-W]\d{7}/.test(text) && (text.at(-1) === String(check) || text.at(-1) === 'JABCDEFGHI'[check]);
}

/** A Portuguese NIF: weights 9 to 2, modulo 11; begins as those that are given out. */
export function isPortugueseNif(candidate: string): boolean {
  const digits = plain(candidate);
  if (!/^(?:[1-35689]|4[5])/.test(digits) || isMonotone(digits)) return false;
  const rest = weightedSum(digits, [9, 8, 7, 6, 5, 4, 3, 2]) % 11;
  return digits.charCodeAt(8) - 48 === (rest < 2 ? 0 : 11 - rest);
}
