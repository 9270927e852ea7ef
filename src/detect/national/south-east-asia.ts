import { isDay, isMonotone, isYmd, weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf } from '../validators.ts';
import { otherwise } from './labels.ts';
import { isSouthAfricanId } from './middle-east-africa.ts';

/** An NRIC or FIN of Singapore: weights modulo 11, offsets and letters by its first letter. */
function isNricOrFin(candidate: string): boolean {
  const id = candidate.toUpperCase();
  const prefix = id.charAt(0);
  const offset = prefix === 'T' || prefix === 'G' ? 4 : prefix === 'M' ? 3 : 0;
  const remainder = (weightedSum(id.slice(1, 8), [2, 7, 6, 5, 4, 3, 2]) + offset) % 11;
  const letters = prefix === 'M' ? 'XWUTRQPNJLK' : 'FG'.includes(prefix) ? 'XWUTRQPNMLK' : 'JZIHGFEDCBA';
  return letters[remainder] === id[8];
}

const uenEntities = new Set(
  'CC CD CH CL CM CP CS CX DP FB FC FM FN GA GB GS HC HS LL LP MB MC MD MH MM MQ NB NR PA PB PF RF RP SM SS TC TU VH XL'.split(
    ' ',
  ),
);
const uenAlphabet = 'ABCDEFGHJKLMNPQRSTUVWX0123456789';

/** A unique entity number of Singapore: of a business, a local company, or another entity. */
function isUen(candidate: string): boolean {
  const uen = candidate.toUpperCase();
  const check = uen.at(-1);
  if (/^\d{8}[A-Z]$/.test(uen)) return 'XMKECAWLJDB'[weightedSum(uen, [10, 4, 9, 3, 8, 2, 7, 1]) % 11] === check;
  if (/^\d{9}/.test(uen)) return 'ZKCMDNERGWH'[weightedSum(uen, [10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11] === check;
  if (!uenEntities.has(uen.slice(3, 5))) return false;
  const sum = [4, 3, 5, 3, 10, 2, 2, 5, 7].reduce(
    (at, weight, i) => at + weight * uenAlphabet.indexOf(uen.charAt(i)),
    0,
  );
  return uenAlphabet[(sum + 6) % 11] === check;
}

/** A Thai national identity number: weights 13 to 2, modulo 11. */
function isThaiId(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const sum = weightedSum(digits, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
  return digits[0] !== '0' && digits[0] !== '9' && !isMonotone(digits) && (11 - (sum % 11)) % 10 === Number(digits[12]);
}

/** A Philippine taxpayer identification number: weights 9 to 2, the remainder by 11 is the ninth digit. */
function isPhilippineTin(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return Number(digits.slice(0, 9)) > 0 && weightedSum(digits, [9, 8, 7, 6, 5, 4, 3, 2]) % 11 === Number(digits[8]);
}

/** A Malaysian identity card: a date of birth, and a place that is in use. */
function isMyKad(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const place = Number(digits.slice(6, 8));
  return isYmd(digits) && place > 0 && ![17, 18, 19, 20, 69, 70, 73, 80, 81, 94, 95, 96, 97].includes(place);
}

/** An Indonesian NIK: a province, a date of birth (a woman's day is 40 more), a serial number. */
function isNik(candidate: string): boolean {
  const province = Number(candidate.slice(0, 2));
  const day = Number(candidate.slice(6, 8));
  return (
    province >= 11 &&
    province <= 97 &&
    isDay(undefined, Number(candidate.slice(8, 10)), day > 40 ? day - 40 : day) &&
    !candidate.endsWith('0000')
  );
}

const nricWords = [
  'nric',
  'fin',
  'nric fin',
  'identity card',
  'ic number',
  'ic no',
  'singapore',
  'work permit',
  'passport',
];
const uenWords = [
  'uen',
  'unique entity',
  'unique entity number',
  'business registration',
  'acra',
  'company registration',
  'registration',
  'roc',
];
const thaiWords = [
  'thai',
  'thailand',
  'thai id',
  'national id',
  'national identification',
  'id card',
  'id number',
  'citizen id',
  'tnin',
  'บัตรประชาชน',
  'เลขประจำตัวประชาชน',
  'เลขประจำตัว',
];
const tinWords = [
  'tin',
  'tin number',
  'bir',
  'taxpayer',
  'taxpayer id',
  'taxpayer identification number',
  'tax identification number',
  'tax id',
  'rdo',
];
const myKadWords = ['my kad', 'nric', 'ic', 'ic number', 'ic no', 'kad pengenalan', 'no kp', 'malaysian id'];
const nikWords = ['nik', 'ktp', 'nomor induk kependudukan', 'no ktp', 'nomor ktp', 'e ktp'];

/** Numbers of Singapore, Thailand, the Philippines, Malaysia and Indonesia. */
export const southEastAsia: readonly Detector[] = [
  {
    id: 'sg_nric_fin',
    categories: ['pii'],
    regions: ['sg'],
    pattern: String.raw`\b[STFGM]\d{7}[A-Z]\b`,
    validate: isNricOrFin,
    also: [
      {
        pattern: String.raw`\b[STFGM]\d{7}[A-Z]\b`,
        ignoreCase: true,
        validate: isNricOrFin,
        context: { words: nricWords },
      },
    ],
    doc: 'Singaporean identity numbers of residents and foreigners, with a right check letter.',
    examples: ['S1234567D', 'F1234567N'],
    source: 'Immigration and Checkpoints Authority of Singapore; Presidio SG_NRIC_FIN',
  },
  {
    id: 'sg_uen',
    categories: ['finance'],
    regions: ['sg'],
    pattern: String.raw`\b[TSR]\d{2}[A-Z]{2}\d{4}[A-Z]\b`,
    validate: isUen,
    also: [
      {
        pattern: String.raw`\b\d{8,9}[A-Z]\b|\b[TSR]\d{2}[A-Z]{2}\d{4}[A-Z]\b`,
        ignoreCase: true,
        validate: isUen,
        context: { words: uenWords },
      },
    ],
    doc: 'Unique entity numbers of Singapore with a right check letter; those of businesses and companies after words that say so.',
    examples: ['T16RF0037C'],
    source: 'ACRA, Unique Entity Number',
  },
  {
    id: 'th_tnin',
    categories: ['pii'],
    regions: ['th'],
    pattern: String.raw`\b\d-\d{4}-\d{5}-\d{2}-\d\b|\b\d \d{4} \d{5} \d{2} \d\b`,
    validate: isThaiId,
    also: [
      {
        pattern: String.raw`\b\d{13}\b`,
        // `ID number` is a word for both.
        validate: (candidate) => isThaiId(candidate) && !isSouthAfricanId(candidate),
        context: { words: thaiWords },
        unless: otherwise(thaiWords),
      },
    ],
    doc: 'Thai national identity numbers with a right check digit: in groups, or after words that say so.',
    examples: ['1-1037-02071-81-1'],
    source: 'Department of Provincial Administration of Thailand; python-stdnum th.pin',
  },
  {
    id: 'ph_tin',
    categories: ['pii', 'finance'],
    regions: ['ph'],
    pattern: String.raw`\b\d{3}[ \-]\d{3}[ \-]\d{3}(?:[ \-]\d{3}(?:\d{2})?)?\b|\b\d{9}(?:\d{3})?\b`,
    validate: isPhilippineTin,
    context: { words: tinWords },
    unless: otherwise(tinWords),
    doc: 'Philippine taxpayer identification numbers with a right check digit, after words that say so.',
    examples: ['123-456-782-000', '123456782'],
    source: 'Bureau of Internal Revenue of the Philippines; Presidio PH_TIN',
  },
  {
    id: 'my_nric',
    categories: ['pii'],
    regions: ['my'],
    pattern: String.raw`\b\d{6}-\d{2}-\d{4}\b`,
    validate: isMyKad,
    also: [
      {
        pattern: String.raw`\b\d{12}\b`,
        validate: isMyKad,
        context: { words: myKadWords, within: 32 },
        unless: otherwise(myKadWords),
      },
    ],
    doc: 'Malaysian identity card numbers: a date of birth, a place, and four digits.',
    examples: ['770305-02-1234'],
    source: 'National Registration Department of Malaysia; python-stdnum my.nric',
  },
  {
    id: 'id_nik',
    categories: ['pii'],
    regions: ['id'],
    pattern: String.raw`\b\d{16}\b`,
    validate: isNik,
    context: { words: nikWords },
    unless: otherwise(nikWords),
    doc: 'Indonesian identity numbers (NIK), after words that say so.',
    examples: ['3171011708450001'],
    source: 'Ministry of Home Affairs of Indonesia; python-stdnum id.nik',
  },
];
