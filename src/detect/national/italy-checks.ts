import { isMonotone, luhn, plain } from '../check-digits.ts';

// What a character at an odd place counts, by its value: Decreto 23 dicembre 1976.
const odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
const months = 'ABCDEHLMPRST';

/** A digit, or the letter that stands for it where two people would have the same code. */
const digitOf = (char: string): number => (char < 'A' ? Number(char) : 'LMNPQRSTUV'.indexOf(char));

/** A fiscal code: a day of birth (40 more for women), and the control letter. */
export function isFiscalCode(candidate: string): boolean {
  const text = plain(candidate);
  const day = (digitOf(text[9]!) * 10 + digitOf(text[10]!)) % 40;
  if (day < 1 || day > 31 || !months.includes(text[8]!)) return false;
  let sum = 0;
  for (let i = 0; i < 15; i++) {
    const code = text.charCodeAt(i);
    const value = code < 65 ? code - 48 : code - 65;
    sum += i % 2 === 0 ? odd[value]! : value;
  }
  return sum % 26 === text.charCodeAt(15) - 65;
}

/** A VAT number: Luhn, after the number of a company and that of an office (001 to 100, 120, 121, 888, 999). */
export function isPartitaIva(candidate: string): boolean {
  const digits = plain(candidate).replace(/^IT/, '');
  return !isMonotone(digits) && !digits.startsWith('0000000') && luhn(digits);
}
