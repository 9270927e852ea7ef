import { isMonotone, isYmd, verhoeff, weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf, luhn } from '../validators.ts';
import { otherwise } from './labels.ts';

/** A Turkish identity number: two check digits modulo 10. */
function isTurkishId(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const odd = weightedSum(digits, [1, 0, 1, 0, 1, 0, 1, 0, 1]);
  const even = weightedSum(digits, [0, 1, 0, 1, 0, 1, 0, 1]);
  const tenth = (((odd * 7 - even) % 10) + 10) % 10;
  return digits[0] !== '0' && tenth === Number(digits[9]) && (odd + even + tenth) % 10 === Number(digits[10]);
}

/** A Turkish tax number: each digit is mixed with its place, multiplied by a power of two modulo 9. */
function isTurkishTaxNumber(candidate: string): boolean {
  let sum = 0;
  for (let i = 0; i < 9; i++) {
    const mixed = (Number(candidate[i]) + 9 - i) % 10;
    if (mixed > 0) sum += (mixed * 2 ** (9 - i)) % 9 || 9;
  }
  return !isMonotone(candidate) && (10 - (sum % 10)) % 10 === Number(candidate[9]);
}

/** A South African identity number: a date, citizen 0, 1 or 2, and Luhn. */
export function isSouthAfricanId(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return isYmd(digits) && digits.charCodeAt(10) <= 0x32 && luhn(digits);
}

/** An Israeli identity number: Luhn over nine digits. */
const isIsraeliId = (candidate: string): boolean =>
  Number(digitsOf(candidate)) > 0 && luhn(digitsOf(candidate).padStart(9, '0'));

const turkishWords = [
  'tc',
  't c',
  'tckn',
  'tc kimlik',
  'tc kimlik no',
  'kimlik',
  'kimlik no',
  'kimlik numarasi',
  'turkish id',
  'turkish national id',
  'turkish identity',
  'turkish identification',
  'national id',
  'vatandaslik',
];
const vknWords = [
  'vkn',
  'vergi',
  'vergi no',
  'vergi numarasi',
  'vergi kimlik',
  'vergi kimlik no',
  'vergi kimlik numarasi',
  'tax number',
  'tax id',
];
const plateWords = [
  'plaka',
  'plakasi',
  'plakali',
  'plate',
  'number plate',
  'license plate',
  'licence plate',
  'arac',
  'vehicle',
  'registration',
  'reg',
  'car',
];
const ninWords = [
  'nin',
  'nin number',
  'nimc',
  'national identification number',
  'national identity number',
  'national identity',
  'nigeria id',
  'nigerian identification',
  'nigeria',
];
const zaWords = ['id', 'id number', 'id no', 'identity number', 'south african id', 'rsa id', 'sa id'];
const israeliWords = [
  'israeli id',
  'israel id',
  'israeli',
  'israel',
  'teudat zehut',
  'tz',
  't z',
  'ת.ז',
  'ת"ז',
  'ת״ז',
  'תעודת זהות',
  'תעודת הזהות',
  'מספר זהות',
];

/** Numbers of Turkey, Israel, the Emirates, Nigeria and South Africa. */
export const middleEastAfrica: readonly Detector[] = [
  {
    id: 'tr_national_id',
    categories: ['pii'],
    regions: ['tr'],
    pattern: String.raw`\b[1-9]\d{10}\b|\b[1-9]\d{2} \d{3} \d{3} \d{2}\b`,
    validate: isTurkishId,
    context: { words: turkishWords },
    unless: otherwise(turkishWords),
    doc: 'Turkish identity numbers with right check digits, after words that say so.',
    examples: ['10000000146'],
    source: 'Republic of Türkiye, General Directorate of Population; python-stdnum tr.tckimlik',
  },
  {
    id: 'tr_vkn',
    categories: ['finance'],
    regions: ['tr'],
    pattern: String.raw`\b\d{10}\b`,
    validate: isTurkishTaxNumber,
    context: { words: vknWords },
    unless: otherwise(vknWords),
    doc: 'Turkish tax numbers with a right check digit, after words that say so.',
    examples: ['4540536920'],
    source: 'Revenue Administration of Türkiye; python-stdnum tr.vkn',
  },
  {
    id: 'tr_license_plate',
    categories: ['pii'],
    regions: ['tr'],
    pattern: [
      String.raw`\b(?:0[1-9]|[1-7]\d|8[01]) ?[A-PR-VYZ]{1,3} ?\d{2,5}\b`,
      String.raw`\b(?:0[1-9]|[1-7]\d|8[01])-[A-PR-VYZ]{1,3}-\d{2,5}\b`,
    ].join('|'),
    ignoreCase: true,
    context: { words: plateWords, within: 80 },
    unless: otherwise(plateWords),
    doc: 'Turkish licence plates, after words that say so.',
    examples: ['34 ABC 1234', '06-A-123'],
    source: 'Karayolları Trafik Kanunu, article 23; Presidio TR_LICENSE_PLATE',
  },
  {
    id: 'il_id_number',
    categories: ['pii'],
    regions: ['il'],
    pattern: String.raw`\b\d{8,9}\b|\b\d{8}-\d\b`,
    validate: isIsraeliId,
    context: { words: israeliWords },
    unless: otherwise(israeliWords),
    doc: 'Israeli identity numbers with a right check digit, after words that say so.',
    examples: ['123456782'],
    source: 'Population and Immigration Authority of Israel; python-stdnum il.idnr',
  },
  {
    id: 'ae_emirates_id',
    categories: ['pii'],
    regions: ['ae'],
    pattern: String.raw`\b784-\d{4}-\d{7}-\d\b|\b784 \d{4} \d{7} \d\b|\b784(?:19|20)\d{10}\b`,
    validate: luhn,
    doc: 'Emirates identity card numbers, with a right check digit.',
    examples: ['784-1987-1234567-1'],
    source: 'Federal Authority for Identity, Citizenship, Customs and Port Security',
  },
  {
    id: 'ng_nin',
    categories: ['pii'],
    regions: ['ng'],
    pattern: String.raw`\b\d{11}\b|\b\d{4}[ \-]\d{3}[ \-]\d{4}\b`,
    validate: (candidate) => !isMonotone(digitsOf(candidate)) && verhoeff(candidate),
    context: { words: ninWords },
    unless: otherwise(ninWords),
    doc: 'Nigerian identification numbers with a right check digit, after words that say so.',
    examples: ['12345678902'],
    source: 'NIMC; Presidio NG_NIN (Verhoeff)',
  },
  {
    id: 'ng_vehicle_registration',
    categories: ['pii'],
    regions: ['ng'],
    pattern: String.raw`\b[A-Z]{3}[ \-]?\d{3}[ \-]?[A-Z]{2}\b`,
    context: { words: plateWords, within: 80 },
    unless: otherwise(plateWords),
    weak: true,
    doc: 'Nigerian vehicle registrations, after words that say so.',
    examples: ['ABC-123DE', 'KJA 456 AA'],
    source: 'Federal Road Safety Corps of Nigeria, number plates since 2011',
  },
  {
    id: 'za_id_number',
    categories: ['pii'],
    regions: ['za'],
    pattern: String.raw`\b\d{13}\b`,
    validate: isSouthAfricanId,
    also: [
      {
        pattern: String.raw`\b\d{6}[ \-]\d{4}[ \-]?\d{3}\b|\b\d{6} \d{4} \d \d \d\b|\b\d{6} \d{4} \d{2} \d\b`,
        validate: isSouthAfricanId,
        context: { words: zaWords },
      },
    ],
    doc: 'South African identity numbers: a date of birth, and a right check digit.',
    examples: ['8001015009087'],
    source: 'Department of Home Affairs of South Africa; Presidio ZA_ID_NUMBER',
  },
];
