import { isMonotone, iso7064Mod11_10, luhn, plain, remainder, weightedCrossSum, weightedSum } from '../check-digits.ts';
import { isAfm, isNip } from './central-checks.ts';
import { isCif, isDni, isNie, isPortugueseNif } from './iberia-checks.ts';
import { isPartitaIva } from './italy-checks.ts';
import { isBsn, isPps, isSiret } from './western-checks.ts';

const mod97OfLetters = (text: string): number =>
  remainder(
    text.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55)),
    97,
  );

/** British: weights 8 to 2 and a check number: with it, the sum leaves 0, or in later series 42 or 55, modulo 97. */
function isBritish(digits: string): boolean {
  const sum = weightedSum(digits, [8, 7, 6, 5, 4, 3, 2, 10, 1]);
  return /^(?:\d{9}|\d{12})$/.test(digits) && [0, 42, 55].includes(sum % 97);
}

/** What follows the prefix: its shape and its check digits (python-stdnum and VIES agree on them). */
const numbers: Readonly<Record<string, (number: string) => boolean>> = {
  AT: (n) => /^U\d{8}$/.test(n) && (96 - weightedCrossSum(n.slice(1), [1, 2, 1, 2, 1, 2, 1])) % 10 === Number(n[8]),
  BE: (n) => /^[01]\d{9}$/.test(n) && 97 - (Number(n.slice(0, 8)) % 97) === Number(n.slice(8)),
  CZ: (n) =>
    /^[0-8]\d{7}$/.test(n) && ((11 - (weightedSum(n, [8, 7, 6, 5, 4, 3, 2]) % 11)) % 11 || 1) % 10 === Number(n[7]),
  DE: (n) => /^[1-9]\d{8}$/.test(n) && iso7064Mod11_10(n),
  DK: (n) => /^[1-9]\d{7}$/.test(n) && weightedSum(n, [2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0,
  EE: (n) => /^\d{9}$/.test(n) && weightedSum(n, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0,
  EL: (n) => /^\d{9}$/.test(n) && isAfm(n),
  ES: (n) =>
    (/^\d{8}[A-Z]$/.test(n) && isDni(n)) ||
    (/^[XYZ]\d{7}[A-Z]$/.test(n) && isNie(n)) ||
    (/^[A-W]\d{7}[A-J0-9]$/.test(n) && isCif(n)),
  FI: (n) => /^\d{8}$/.test(n) && weightedSum(n, [7, 9, 10, 5, 8, 4, 2, 1]) % 11 === 0,
  FR: (n) =>
    /^[A-HJ-NP-Z0-9]{2}\d{9}$/.test(n) &&
    isSiret(n.slice(2)) &&
    (/^\D|^.\D/.test(n) || Number(n.slice(0, 2)) === (12 + 3 * (Number(n.slice(2)) % 97)) % 97),
  GB: isBritish,
  XI: isBritish,
  HR: (n) => /^\d{11}$/.test(n) && iso7064Mod11_10(n),
  HU: (n) => /^\d{8}$/.test(n) && weightedSum(n, [9, 7, 3, 1, 9, 7, 3, 1]) % 10 === 0,
  IE: (n) => /^\d{7}[A-W][A-IW]?$/.test(n) && isPps(n),
  IT: (n) => /^\d{11}$/.test(n) && isPartitaIva(n),
  LU: (n) => /^\d{8}$/.test(n) && Number(n.slice(0, 6)) % 89 === Number(n.slice(6)),
  LV: (n) => /^[4-9]\d{10}$/.test(n) && weightedSum(n, [9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 === 3,
  MT: (n) => /^[1-9]\d{7}$/.test(n) && weightedSum(n, [3, 4, 6, 7, 8, 9, 10, 1]) % 37 === 0,
  NL: (n) => /^\d{9}B\d{2}$/.test(n) && (isBsn(n.slice(0, 9)) || mod97OfLetters(`NL${n}`) === 1),
  PL: (n) => /^\d{10}$/.test(n) && isNip(n),
  PT: (n) => /^\d{9}$/.test(n) && isPortugueseNif(n),
  RO: (n) =>
    /^[1-9]\d{5,9}$/.test(n) &&
    ((weightedSum(n.padStart(10, '0'), [7, 5, 3, 2, 1, 7, 5, 3, 2]) * 10) % 11) % 10 === Number(n.at(-1)),
  SE: (n) => /^\d{10}(?!00)\d{2}$/.test(n) && luhn(n.slice(0, 10)),
  SI: (n) => /^[1-9]\d{7}$/.test(n) && (11 - (weightedSum(n, [8, 7, 6, 5, 4, 3, 2]) % 11)) % 10 === Number(n[7]),
  SK: (n) => /^[1-9]\d[2-47-9]\d{7}$/.test(n) && remainder(n, 11) === 0,
};

/** Prefixes of which only the shape is looked at. */
const shapes: Readonly<Record<string, RegExp>> = {
  BG: /^\d{9,10}$/,
  CY: /^\d{8}[A-Z]$/,
  CZ: /^\d{8,10}$/,
  LT: /^(?:\d{9}|\d{12})$/,
  RO: /^[1-9]\d{1,9}$/,
};

/** A VAT number of a country whose check digits are looked at. */
export function isEuVat(candidate: string): boolean {
  const text = plain(candidate);
  const number = text.slice(2);
  return !isMonotone(number.replace(/\D/g, '')) && (numbers[text.slice(0, 2)]?.(number) ?? false);
}

/** A VAT number of a country of which only the shape is looked at. */
export function isEuVatShape(candidate: string): boolean {
  const text = plain(candidate);
  return shapes[text.slice(0, 2)]?.test(text.slice(2)) ?? false;
}
