import { isDay, isMonotone, weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf } from '../validators.ts';
import { otherwise } from './labels.ts';

/** A Chinese resident's identity number: a province, a date, and a check character, ISO 7064 MOD 11-2 (GB 11643-1999). */
function isResidentId(candidate: string): boolean {
  if (!/^(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])/.test(candidate)) return false;
  const year = Number(candidate.slice(6, 10));
  if (year < 1870 || year > 2099 || !isDay(year, Number(candidate.slice(10, 12)), Number(candidate.slice(12, 14))))
    return false;
  const sum = weightedSum(candidate, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
  return '10X98765432'[sum % 11] === candidate.charAt(17).toUpperCase();
}

/** A Japanese individual number: weights modulo 11, of which 0 and 1 give 0. */
function isMyNumber(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const remainder = weightedSum(digits, [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
  return !isMonotone(digits) && (remainder <= 1 ? 0 : 11 - remainder) === Number(digits[11]);
}

const taiwanLetters = 'ABCDEFGHJKLMNPQRSTUVXYWZIO';

/** A Taiwanese national identity or resident number: the letter is 10 to 35, weights 1, 9 to 1 and 1, modulo 10. */
function isTaiwanId(candidate: string): boolean {
  const letter = taiwanLetters.indexOf(candidate.charAt(0).toUpperCase()) + 10;
  const digits = `${letter}${candidate.slice(1)}`;
  return weightedSum(digits, [1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1]) % 10 === 0;
}

/** A Hong Kong identity card: letters are 10 to 35, a space is 36, weights 9 to 1, modulo 11. */
function isHongKongId(candidate: string): boolean {
  const id = candidate
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .padStart(9, ' ');
  let sum = 0;
  for (let i = 0; i < 9; i++) sum += (9 - i) * (id[i] === ' ' ? 36 : Number.parseInt(id.charAt(i), 36));
  return sum % 11 === 0;
}

const residentWords = [
  '身份证',
  '身份證',
  '公民身份号码',
  'resident id',
  'resident identity',
  'id card',
  'id number',
  'id',
];
const myNumberWords = ['my number', 'mynumber', 'individual number', 'マイナンバー', '個人番号', '個人號碼'];
const taiwanWords = [
  '身分證',
  '身分證字號',
  '身份證字號',
  '統一證號',
  '居留證',
  'taiwan',
  'taiwanese',
  'roc id',
  'national id',
  'national identification',
  'identity card',
  'id card',
  'id number',
  'id no',
  'arc',
  'uniform id',
];
const hongKongWords = [
  'hkid',
  'hk id',
  'hong kong',
  'hong kong id',
  'identity card',
  'id card',
  'id card number',
  'id number',
  'id no',
  '身份證',
  '身份證號碼',
  '香港身份證',
];

/** Numbers of China, Japan, Taiwan and Hong Kong. */
export const eastAsia: readonly Detector[] = [
  {
    id: 'cn_resident_id',
    categories: ['pii'],
    regions: ['cn'],
    pattern: String.raw`\b[1-8]\d{16}[0-9Xx]\b`,
    validate: isResidentId,
    also: [
      {
        pattern: String.raw`\b[1-8]\d{5} \d{8} \d{3}[0-9Xx]\b`,
        validate: (candidate) => isResidentId(candidate.replaceAll(' ', '')),
        context: { words: residentWords },
      },
    ],
    doc: "Chinese residents' identity numbers: a province, a date of birth, and a right check character.",
    examples: ['11010519491231002X'],
    source: 'GB 11643-1999',
  },
  {
    id: 'jp_my_number',
    categories: ['pii'],
    regions: ['jp'],
    pattern: String.raw`\b\d{12}\b|\b\d{4} \d{4} \d{4}\b|\b\d{4}-\d{4}-\d{4}\b`,
    validate: isMyNumber,
    context: { words: myNumberWords },
    unless: otherwise(myNumberWords),
    doc: 'Japanese individual numbers (My Number) with a right check digit, after words that say so.',
    examples: ['1234 5678 9018', '123456789018'],
    source: 'Ministerial ordinance on individual numbers (Japan, 2014, no. 85), article 5',
  },
  {
    id: 'tw_id',
    categories: ['pii'],
    regions: ['tw'],
    pattern: String.raw`\b[A-Z][1289]\d{8}\b`,
    ignoreCase: true,
    validate: isTaiwanId,
    context: { words: taiwanWords },
    unless: otherwise(taiwanWords),
    doc: 'Taiwanese identity and resident numbers with a right check digit, after words that say so.',
    examples: ['A123456789'],
    source: 'Ministry of the Interior of Taiwan, Household Registration; python-stdnum tw',
  },
  {
    id: 'hk_id',
    categories: ['pii'],
    regions: ['hk'],
    pattern: String.raw`\b[A-Z]{1,2}\d{6} ?\([0-9A]\)`,
    validate: isHongKongId,
    also: [
      {
        pattern: String.raw`\b[A-Z]{1,2}\d{6}[ \-]?[0-9A]\b|\b[A-Z]{1,2}\d{6} ?\([0-9A]\)`,
        ignoreCase: true,
        validate: isHongKongId,
        context: { words: hongKongWords },
        unless: otherwise(hongKongWords),
      },
    ],
    doc: 'Hong Kong identity card numbers with a right check digit: in brackets, or after words that say so.',
    examples: ['A123456(3)'],
    source: 'Hong Kong Immigration Department, HKID check digit',
  },
];
