import { isMonotone, weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf } from '../validators.ts';
import { otherwise } from './labels.ts';

const nineDigits = String.raw`\b\d{9}\b|\b\d{3} \d{3} \d{3}\b|\b\d{3}-\d{3}-\d{3}\b`;

/** An Australian business number: 1 from the first digit, weights, remainder 0 modulo 89. */
function isAbn(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return digits[0] !== '0' && (weightedSum(digits, [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10) % 89 === 0;
}

/** An Australian company number: weights 8 to 1, the complement modulo 10. */
function isAcn(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return weightedSum(digits, [8, 7, 6, 5, 4, 3, 2, 1, 1]) % 10 === 0 && !isMonotone(digits);
}

/** An Australian tax file number: remainder 0 modulo 11. */
function isTfn(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return weightedSum(digits, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0 && !isMonotone(digits);
}

/** An Australian Medicare number: the ninth digit is the weighted sum of eight modulo 10. */
function isMedicare(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return weightedSum(digits, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === Number(digits[8]);
}

/** A New Zealand IRD number: 10 000 000 to 150 000 000, weights modulo 11, a second row of them where the first gives 10. */
function isIrd(candidate: string): boolean {
  const digits = digitsOf(candidate).padStart(9, '0');
  if (Number(digits) < 10_000_000 || Number(digits) > 150_000_000) return false;
  let check = (110 * 9 - weightedSum(digits, [3, 2, 7, 6, 5, 4, 3, 2])) % 11;
  if (check === 10) check = (110 * 9 - weightedSum(digits, [7, 4, 3, 2, 5, 2, 7, 6])) % 11;
  return check === Number(digits[8]);
}

const nhiLetters = 'ABCDEFGHJKLMNPQRSTUVWXYZ';

/** A New Zealand health index number, of the old form (AAANNNC, modulo 11) or the new one (AAANNAX, modulo 24). */
function isNhi(candidate: string): boolean {
  const nhi = candidate.toUpperCase();
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    const letter = nhiLetters.indexOf(nhi.charAt(i)) + 1;
    sum += (7 - i) * (letter > 0 ? letter : Number(nhi.charAt(i)));
  }
  if (/\d$/.test(nhi)) return sum % 11 !== 0 && (11 - (sum % 11)) % 10 === Number(nhi[6]);
  return nhiLetters[23 - (sum % 24)] === nhi[6];
}

const abnWords = ['abn', 'a b n', 'australian business number', 'business number'];
const acnWords = ['acn', 'a c n', 'australian company number', 'company number'];
const tfnWords = ['tfn', 'tax file', 'tax file number', 'tax file no'];
const medicareWords = ['medicare', 'medicare number', 'medicare card', 'medicare card number', 'medicare no'];
const irdWords = ['ird', 'ird number', 'ird no', 'inland revenue', 'tax number'];
const nhiWords = ['nhi', 'national health index', 'nhi number', 'patient'];

/** Numbers of Australia and New Zealand. */
export const oceania: readonly Detector[] = [
  {
    id: 'au_abn',
    categories: ['finance'],
    regions: ['au'],
    pattern: String.raw`\b\d{2} \d{3} \d{3} \d{3}\b`,
    validate: isAbn,
    also: [
      {
        pattern: String.raw`\b\d{11}\b|\b\d{2}-\d{3}-\d{3}-\d{3}\b`,
        validate: isAbn,
        context: { words: abnWords },
        unless: otherwise(abnWords),
      },
    ],
    doc: 'Australian business numbers with a right check digit: in groups, or after words that say so.',
    examples: ['51 824 753 556'],
    source: 'Australian Business Register, Format of the ABN',
  },
  {
    id: 'au_acn',
    categories: ['finance'],
    regions: ['au'],
    pattern: nineDigits,
    validate: isAcn,
    context: { words: acnWords },
    unless: otherwise(acnWords),
    doc: 'Australian company numbers with a right check digit, after words that say so.',
    examples: ['004 085 616', '004085616'],
    source: 'ASIC, Australian Company Number digit check',
  },
  {
    id: 'au_tfn',
    categories: ['pii', 'finance'],
    regions: ['au'],
    pattern: nineDigits,
    validate: isTfn,
    context: { words: tfnWords },
    unless: otherwise(tfnWords),
    doc: 'Australian tax file numbers with a right check digit, after words that say so.',
    examples: ['876 543 210', '876543210'],
    source: 'Australian Taxation Office; python-stdnum au.tfn',
  },
  {
    id: 'au_medicare',
    categories: ['health', 'pii'],
    regions: ['au'],
    pattern: String.raw`\b[2-6]\d{9}\b|\b[2-6]\d{3}[ \-]\d{5}[ \-]\d\b`,
    validate: isMedicare,
    context: { words: medicareWords },
    unless: otherwise(medicareWords),
    doc: 'Australian Medicare card numbers with a right check digit, after words that say so.',
    examples: ['2123 45670 1', '2123456701'],
    source: 'Australian Digital Health Agency, Medicare Card Number; Presidio AU_MEDICARE',
  },
  {
    id: 'nz_ird',
    categories: ['pii', 'finance'],
    regions: ['nz'],
    pattern: String.raw`\b\d{8,9}\b|\b\d{2,3}[ \-]\d{3}[ \-]\d{3}\b`,
    validate: isIrd,
    context: { words: irdWords },
    unless: otherwise(irdWords),
    doc: 'New Zealand IRD numbers with a right check digit, after words that say so.',
    examples: ['49-091-850', '49091850'],
    source: 'Inland Revenue, Resident withholding tax specification: IRD number validation',
  },
  {
    id: 'nz_nhi',
    categories: ['health', 'pii'],
    regions: ['nz'],
    pattern: String.raw`\b[A-HJ-NP-Z]{3}\d{2}(?:\d{2}|[A-HJ-NP-Z]{2})\b`,
    ignoreCase: true,
    validate: isNhi,
    context: { words: nhiWords },
    unless: otherwise(nhiWords),
    doc: 'New Zealand health index numbers with a right check character, after words that say so.',
    examples: ['ZZZ0016', 'ZZZ00AX'],
    source: 'HISO 10046:2024 Consumer Health Identity Standard',
  },
];
