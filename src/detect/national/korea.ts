import { isYmd, weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf } from '../validators.ts';
import { otherwise } from './labels.ts';

/** A Korean business registration number: weights, and the tens of the ninth product. */
function isBrn(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const sum = weightedSum(digits, [1, 3, 7, 1, 3, 7, 1, 3, 5]) + Math.floor((Number(digits[8]) * 5) / 10);
  return Number(digits) > 0 && (10 - (sum % 10)) % 10 === Number(digits[9]);
}

const rrnWords = [
  'rrn',
  'resident registration',
  'resident registration number',
  'resident number',
  '주민등록번호',
  '주민번호',
  '주민',
];
const frnWords = [
  'frn',
  'arc',
  'alien registration',
  'alien registration number',
  'foreigner registration',
  'foreigner registration number',
  '외국인등록번호',
  '외국인번호',
  '외국인',
];
const brnWords = [
  'brn',
  'business registration',
  'business registration number',
  'business registration no',
  'business number',
  'tax registration number',
  '사업자등록번호',
  '사업자번호',
  '사업자',
];
const licenseWords = [
  'korean driver',
  'driver',
  's license',
  'license',
  'license number',
  'driving license',
  '운전면허',
  '면허번호',
  '면허',
];
const passportWords = ['passport', 'passport number', 'passport no', '여권', '여권번호'];
const koreanPassportWords = [
  'korean passport',
  'korean passport number',
  'korean passport no',
  'korea passport',
  'kr passport',
  'passport kr',
  '여권',
  '여권번호',
  'korea',
  'korean',
];

/** Numbers of South Korea. */
export const korea: readonly Detector[] = [
  {
    id: 'kr_rrn',
    categories: ['pii'],
    regions: ['kr'],
    // No check digit in those of October 2020 and later.
    pattern: String.raw`\b\d{6}-[1-4]\d{6}\b`,
    validate: (candidate) => isYmd(candidate),
    also: [
      {
        pattern: String.raw`\b\d{6} ?[1-4]\d{6}\b`,
        validate: (candidate) => isYmd(candidate),
        context: { words: rrnWords },
        unless: otherwise(rrnWords),
      },
    ],
    doc: 'South Korean resident registration numbers: a date of birth, and seven digits.',
    examples: ['900101-1234567'],
    source: 'Resident Registration Act, Enforcement Rule article 2',
  },
  {
    id: 'kr_frn',
    categories: ['pii'],
    regions: ['kr'],
    pattern: String.raw`\b\d{6}-[5-8]\d{6}\b`,
    validate: (candidate) => isYmd(candidate),
    also: [
      {
        pattern: String.raw`\b\d{6} ?[5-8]\d{6}\b`,
        validate: (candidate) => isYmd(candidate),
        context: { words: frnWords },
        unless: otherwise(frnWords),
      },
    ],
    doc: 'South Korean foreigner registration numbers: a date of birth, and seven digits.',
    examples: ['900101-5234567'],
    source: 'Immigration Act of the Republic of Korea, article 31',
  },
  {
    id: 'kr_brn',
    categories: ['finance'],
    regions: ['kr'],
    pattern: String.raw`\b\d{10}\b|\b\d{3}-\d{2}-\d{5}\b`,
    validate: isBrn,
    context: { words: brnWords },
    unless: otherwise(brnWords),
    doc: 'South Korean business registration numbers with a right check digit, after words that say so.',
    examples: ['120-81-47521', '1208147521'],
    source: 'National Tax Service of Korea; python-stdnum kr.brn',
  },
  {
    id: 'kr_driver_license',
    categories: ['pii'],
    regions: ['kr'],
    pattern: String.raw`\b(?:1[1-9]|2[0-68])-\d{2}-\d{6}-\d{2}\b`,
    also: [
      {
        pattern: String.raw`\b(?:1[1-9]|2[0-68])[ \-]?\d{2}[ \-]?\d{6}[ \-]?\d{2}\b`,
        context: { words: licenseWords },
        unless: otherwise(licenseWords),
      },
    ],
    doc: "South Korean driver's licenses: a region, a year, and eight digits.",
    examples: ['11-22-123456-12'],
    source: 'Road Traffic Act of Korea, Enforcement Rule annex 55; Presidio KR_DRIVER_LICENSE',
  },
  {
    id: 'kr_passport',
    categories: ['pii'],
    regions: ['kr'],
    pattern: String.raw`\b[MSROD]\d{3}[A-Z]\d{4}\b`,
    ignoreCase: true,
    context: { words: passportWords, within: 80 },
    unless: otherwise(passportWords),
    also: [
      {
        pattern: String.raw`\b[MSROD]\d{8}\b`,
        ignoreCase: true,
        context: { words: koreanPassportWords, within: 80 },
        unless: otherwise(koreanPassportWords.concat('passport')),
      },
    ],
    doc: 'South Korean passport numbers, after words that say so.',
    examples: ['M123A4567'],
    source: 'Ministry of Foreign Affairs of Korea, next generation e-passport; Presidio KR_PASSPORT',
  },
];
