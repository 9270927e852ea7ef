import { isDay, isMonotone, plain, weightedSum } from '../check-digits.ts';

/** An NHS number: weights 10 to 2 over nine digits, and 11 less the remainder by 11 is the tenth; 11 is 0, 10 is none. */
export function isNhsNumber(candidate: string): boolean {
  const digits = plain(candidate);
  return !isMonotone(digits) && weightedSum(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
}

/** A national insurance number: the letters that are given out, and none of the pairs that are not. */
export const isNino = (candidate: string): boolean => !/^(?:BG|GB|NK|KN|NT|TN|ZZ)/i.test(candidate);

/** A driving licence: a surname filled up with nines, and a date of birth (50 more in the month of a woman's). */
export function isDrivingLicence(candidate: string): boolean {
  const text = plain(candidate);
  if (!/^[A-Z]+9*\d{6}/.test(text.slice(0, 11))) return false;
  const month = Number(text.slice(6, 8));
  return isDay(Number(text[5]! + text[10]!), month > 50 ? month - 50 : month, Number(text.slice(8, 10)));
}

// Royal Mail's postcode areas.
const areas = new Set(
  (
    'AB AL B BA BB BD BF BH BL BN BR BS BT BX CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G ' +
    'GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX ' +
    'PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS ' +
    'WV YO ZE'
  ).split(' '),
);

/** A postcode of an area that there is. */
export function isPostcode(candidate: string): boolean {
  const text = plain(candidate);
  return text === 'GIR0AA' || areas.has(/^[A-Z]+/.exec(text)![0]);
}

/** A registration since 2001: the age identifier of a half-year that has begun (02 to 29 and 51 to 79). */
export function isCurrentPlate(candidate: string): boolean {
  const age = Number(candidate.slice(2, 4));
  return (age > 1 && age < 30) || (age > 50 && age < 80);
}
