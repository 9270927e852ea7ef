import { isDay, isDmy, isMonotone, isYmd, luhn, plain, remainder, weightedSum } from '../check-digits.ts';

/** A PESEL: a day of birth with its century in the month, weights 1, 3, 7, 9. */
export function isPesel(digits: string): boolean {
  const month = Number(digits.slice(2, 4));
  const century = [1900, 2000, 2100, 2200, 1800][Math.floor(month / 20)]!;
  return (
    isDay(century + Number(digits.slice(0, 2)), month % 20, Number(digits.slice(4, 6))) &&
    weightedSum(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0
  );
}

/** A Polish NIP: weights 6, 5, 7, 2, 3, 4, 5, 6, 7 modulo 11; 10 is none. */
export function isNip(candidate: string): boolean {
  const digits = plain(candidate).replace(/^PL/, '');
  return (
    !/^(?:0|\d0[0]|(\d)\1{9})/.test(digits) &&
    weightedSum(digits, [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 === Number(digits[9])
  );
}

/** A Czech or Slovak birth number: 50 more in the month of women, 20 more where days ran out; divisible by 11 since 1954. */
export function isRodneCislo(candidate: string): boolean {
  const digits = plain(candidate);
  const month = Number(digits.slice(2, 4)) % 50;
  if (!isDay(Number(digits.slice(0, 2)), month > 20 ? month - 20 : month, Number(digits.slice(4, 6)))) return false;
  if (digits.length === 9) return Number(digits.slice(0, 2)) < 54;
  return remainder(digits, 11) === 0 || (remainder(digits.slice(0, 9), 11) === 10 && digits.endsWith('0'));
}

/** A Romanian CNP: sex and century, a day of birth, a county, weights 279146358279 modulo 11. */
export function isCnp(digits: string): boolean {
  const county = Number(digits.slice(7, 9));
  const rest = weightedSum(digits, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
  return (
    isYmd(digits, 1) &&
    ((county > 0 && county < 53) || county === 70 || county > 79) &&
    (rest === 10 ? 1 : rest) === digits.charCodeAt(12) - 48
  );
}

/** As `isCnp`, of those that no barcode of a book begins like. */
export const isResidentCnp = (digits: string): boolean => /^[1-8]/.test(digits) && isCnp(digits);

/** A Bulgarian EGN: a day of birth (20 or 40 more in the month by century), powers of two modulo 11. */
export function isEgn(digits: string): boolean {
  const month = Number(digits.slice(2, 4));
  const rest = weightedSum(digits, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11;
  return (
    isDay(
      Number(digits.slice(0, 2)),
      month > 40 ? month - 40 : month > 20 ? month - 20 : month,
      Number(digits.slice(4, 6)),
    ) && rest % 10 === digits.charCodeAt(9) - 48
  );
}

/** A Greek AMKA: a day of birth, Luhn. */
export const isAmka = (candidate: string): boolean => isDmy(plain(candidate)) && luhn(plain(candidate));

/** A Greek AFM: powers of two modulo 11. */
export function isAfm(candidate: string): boolean {
  const digits = candidate.replace(/\D/g, '');
  const rest = weightedSum(digits, [256, 128, 64, 32, 16, 8, 4, 2]) % 11;
  return !isMonotone(digits) && rest % 10 === digits.charCodeAt(8) - 48;
}

/** A personal number of former Yugoslavia (JMBG, EMŠO): a day of birth with three digits of its year, modulo 11. */
export function isEmso(digits: string): boolean {
  const year = Number(digits.slice(4, 7));
  const rest = weightedSum(digits, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
  return (
    (year > 850 || year < 100) &&
    isDay(year > 850 ? 1000 + year : 2000 + year, Number(digits.slice(2, 4)), Number(digits.slice(0, 2))) &&
    (rest < 2 ? 0 : 11 - rest) === digits.charCodeAt(12) - 48
  );
}

/** A Hungarian TAJ number: weights 3 and 7 in turn. */
export function isTaj(candidate: string): boolean {
  const digits = plain(candidate);
  return !isMonotone(digits) && weightedSum(digits, [3, 7, 3, 7, 3, 7, 3, 7]) % 10 === digits.charCodeAt(8) - 48;
}
