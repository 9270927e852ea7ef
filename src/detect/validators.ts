/** Confirms candidates. All take folded text (fold.ts), separators included. */

export const digitsOf = (candidate: string): string => candidate.replace(/\D/g, '');

/** Luhn's check digit (ISO/IEC 7812-1, annex B) over the digits of a text. */
export function luhn(candidate: string): boolean {
  let sum = 0;
  let digits = 0;
  for (let i = candidate.length - 1; i >= 0; i--) {
    const value = candidate.charCodeAt(i) - 48;
    if (value < 0 || value > 9) continue;
    sum += digits % 2 === 0 ? value : value > 4 ? value * 2 - 9 : value * 2;
    digits++;
  }
  return digits > 0 && sum % 10 === 0;
}

// Issuer identification numbers by their first four digits, from and to, with the lengths that are issued there.
const cardRanges: readonly (readonly [from: number, to: number, ...lengths: number[]])[] = [
  [2200, 2204, 16, 17, 18, 19], // Mir
  [2221, 2720, 16], // Mastercard
  [3000, 3059, 14, 16, 17, 18, 19], // Diners Club
  [3095, 3095, 14, 16, 17, 18, 19],
  [3400, 3499, 15], // American Express
  [3528, 3589, 16, 17, 18, 19], // JCB
  [3600, 3699, 14, 15, 16, 17, 18, 19], // Diners Club
  [3700, 3799, 15], // American Express
  [3800, 3999, 14, 16, 17, 18, 19], // Diners Club
  [4000, 4999, 13, 16, 19], // Visa
  [5000, 5099, 13, 14, 15, 16, 17, 18, 19], // Maestro, Elo, Verve
  [5100, 5599, 16], // Mastercard
  [5600, 6999, 13, 14, 15, 16, 17, 18, 19], // Maestro, UnionPay, Discover, RuPay
  [8100, 8299, 16, 17, 18, 19], // UnionPay, RuPay
  [9792, 9792, 16], // Troy
];

/** Per issuer (four digits), the lengths issued, one bit each. */
const issuedLengths = new Uint32Array(10_000);
for (const [from, to, ...lengths] of cardRanges)
  issuedLengths.fill(
    lengths.reduce((bits, length) => bits | (1 << length), 0),
    from,
    to + 1,
  );

/** A payment card number: a length that is issued in its range, and Luhn. */
export function isCardNumber(candidate: string): boolean {
  let issuer = 0;
  let digits = 0;
  for (let i = 0; i < candidate.length; i++) {
    const value = candidate.charCodeAt(i) - 48;
    if (value < 0 || value > 9) continue;
    if (digits < 4) {
      issuer = issuer * 10 + value;
      // Most numbers are nobody's: no need to read on.
      if (digits === 3 && issuedLengths[issuer] === 0) return false;
    }
    digits++;
  }
  return digits <= 19 && ((issuedLengths[issuer]! >> digits) & 1) === 1 && luhn(candidate);
}

/** Longest candidate of a card number that is looked at in one pass; what is longer is left to `isCardNumber`. */
const mostCardCharacters = 64;
// Of the text that was asked about last, by length: how many digits, and their Luhn sums by which digits are doubled.
const cards = {
  text: '',
  issuer: 0,
  digits: new Uint8Array(mostCardCharacters + 1),
  sums: [new Uint16Array(mostCardCharacters + 1), new Uint16Array(mostCardCharacters + 1)] as const,
};

/** Whether the beginning of a text is no card number: one pass over the text for all its beginnings. */
export function isNoCardNumber(folded: string, length: number): boolean {
  if (folded.length > mostCardCharacters) return false;
  if (cards.text !== folded) readCards(folded);
  const digits = cards.digits[length]!;
  return (
    digits > 19 || ((issuedLengths[cards.issuer]! >> digits) & 1) === 0 || cards.sums[digits & 1]![length]! % 10 > 0
  );
}

function readCards(folded: string): void {
  const { digits, sums } = cards;
  let count = 0;
  let even = 0;
  let odd = 0;
  let issuer = 0;
  for (let i = 0; i < folded.length; i++) {
    const value = folded.charCodeAt(i) - 48;
    if (value >= 0 && value <= 9) {
      if (count < 4) issuer = issuer * 10 + value;
      const doubled = value > 4 ? value * 2 - 9 : value * 2;
      // With an even number of digits the first is doubled, with an odd number the second.
      even += (count & 1) === 0 ? doubled : value;
      odd += (count & 1) === 0 ? value : doubled;
      count++;
    }
    digits[i + 1] = count;
    sums[0][i + 1] = even;
    sums[1][i + 1] = odd;
  }
  cards.text = folded;
  cards.issuer = issuer;
}

// Length of an IBAN by country: the SWIFT IBAN registry.
const ibanLengths = new Map(
  Object.entries({
    15: 'NO',
    16: 'BE',
    18: 'DK FI FK FO GL NL SD',
    19: 'MK SI',
    20: 'AT BA EE KZ LT LU MN XK',
    21: 'CH CR HR LI LV',
    22: 'BG BH DE GB GE IE ME RS VA',
    23: 'AE GI IL IQ OM SO TL',
    24: 'AD CZ ES MD PK RO SA SE SK TN VG',
    25: 'LY PT ST',
    26: 'IS TR',
    27: 'BI DJ FR GR IT MC MR SM',
    28: 'AL AZ BY CY DO GT HN HU LB NI PL SV',
    29: 'BR EG PS QA UA',
    30: 'JO KW MU YE',
    31: 'MT SC',
    32: 'LC',
    33: 'RU',
  }).flatMap(([length, countries]) => countries.split(' ').map((country) => [country, Number(length)] as const)),
);

/** An IBAN: its country's length, and the remainder 1 of ISO 7064 MOD 97-10 (ISO 13616-1). */
export function isIban(candidate: string): boolean {
  const length = ibanLengths.get(candidate.slice(0, 2).toUpperCase());
  if (length === undefined || candidate.length < length) return false;
  const iban = candidate.replace(/[ -]/g, '').toUpperCase();
  if (iban.length !== length) return false;
  let remainder = 0;
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

const ibans = { text: '', end: -1 };

/** Whether the beginning of a text is no IBAN by its length: the country says where one would end. */
export function isNoIban(folded: string, length: number): boolean {
  if (ibans.text !== folded) {
    let left = ibanLengths.get(folded.slice(0, 2).toUpperCase()) ?? -1;
    ibans.text = folded;
    ibans.end = -1;
    for (let i = 0; i < folded.length && left > 0; i++) {
      const unit = folded.charCodeAt(i);
      if (unit !== 0x20 && unit !== 0x2d && --left === 0) ibans.end = i + 1;
    }
  }
  // A candidate ends in a letter or digit, never in a separator.
  return length !== ibans.end;
}

/** A US social security number that may have been issued (SSA POMS RM 10201.035): no 000, 666, 9xx area, no zero group or serial. */
export function isSsn(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return /^(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}$/.test(digits);
}

/** A US national provider identifier: Luhn over `80840` and its ten digits (45 CFR 162.406). */
export function isNpi(candidate: string): boolean {
  return luhn(`80840${candidate}`);
}
