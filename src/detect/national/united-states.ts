import type { Context, Detector } from '../detector.ts';
import { digitsOf, isSsn } from '../validators.ts';
import { fraction, otherwise } from './labels.ts';
import { britishPassportWords } from './united-kingdom.ts';

const nineDigits = String.raw`\b\d{9}\b`;

const ssnWords = [
  'ssn',
  'ssns',
  'ss#',
  'ss no',
  'social',
  'social security',
  'social security number',
  'social security no',
  'social security account number',
  'soc sec',
  'social sec',
  'seguro social',
];
const itinWords = [
  'itin',
  'individual taxpayer',
  'individual taxpayer identification number',
  'taxpayer',
  'taxpayer id',
  'tax id',
  'tax identification number',
  'tin',
];
const einWords = [
  'ein',
  'fein',
  'employer id',
  'employer identification',
  'employer identification number',
  'federal tax id',
  'federal id',
  'tax id',
  'taxpayer id',
  'tin',
];
const passportWords = [
  'passport',
  'passport number',
  'passport no',
  'passport book',
  'passport card',
  'travel document',
];
/** Whose passports have numbers of the same form. */
const otherPassports = [
  ...britishPassportWords,
  'korean passport',
  'korean passport number',
  'korean passport no',
  'kr passport',
  'passport kr',
  'indian passport',
  'german passport',
];
const licenseWords = [
  'dl',
  'dln',
  'cdl',
  'dl number',
  'driver license',
  'drivers license',
  's license',
  's licence',
  'driving license',
  'driving licence',
  'license number',
  'license no',
  'licence number',
  'licence no',
  'operator license',
  'driver id',
  'driver license number',
  'learner permit',
  's permit',
];

/** A word that is near its number: but for `number`, `is`, a state, a colon; or some rows above it. */
const near = (words: readonly string[]): Context => ({ words, within: 72 });

/** Second group of an ITIN: 50–65, 70–88, 90–92, 94–99. */
const itinGroup = String.raw`(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])`;

// Campuses of the IRS that give out the first two digits.
const einPrefix = /^(?:0[1-6]|1[0-6]|2[0-7]|3\d|4[0-8]|5\d|6[0-8]|7[1-7]|8[0-8]|9[0-58-9])/;

/** An employer identification number by its first two digits. */
const isEin = (candidate: string): boolean => einPrefix.test(candidate);

/** Numbers of the United States for persons, but for what is about health and banks. */
export const unitedStates: readonly Detector[] = [
  {
    id: 'us_ssn',
    categories: ['pii'],
    regions: ['us'],
    pattern: String.raw`\b\d{3}-\d{2}-\d{4}\b|\b\d{3} \d{2} \d{4}\b|\b\d{3}\.\d{2}\.\d{4}\b`,
    validate: isSsn,
    also: [
      {
        pattern: String.raw`${nineDigits}|\b\d{3}-\d{6}\b|\b\d{5}-\d{4}\b`,
        validate: isSsn,
        context: { words: ssnWords },
        unless: otherwise(ssnWords),
      },
    ],
    decoys: [fraction],
    doc: 'US social security numbers, written in groups; without them where a word says what they are.',
    examples: ['536-22-1234'],
    source: 'SSA POMS RM 10201.035',
  },
  {
    id: 'us_itin',
    categories: ['pii', 'finance'],
    regions: ['us'],
    pattern: String.raw`\b9\d{2}-${itinGroup}-\d{4}\b|\b9\d{2} ${itinGroup} \d{4}\b`,
    also: [
      {
        pattern: String.raw`\b9\d{2}[ \-]?${itinGroup}[ \-]?\d{4}\b`,
        context: near(itinWords),
        unless: otherwise(itinWords),
      },
    ],
    doc: 'US individual taxpayer identification numbers.',
    examples: ['912-70-1234'],
    source: 'IRS Publication 1915; IRM 3.21.263',
  },
  {
    id: 'us_ein',
    categories: ['finance'],
    regions: ['us'],
    pattern: String.raw`\b\d{2}-\d{7}\b`,
    validate: isEin,
    context: { words: einWords, within: 80 },
    unless: otherwise(einWords),
    also: [
      {
        pattern: nineDigits,
        validate: isEin,
        context: near(einWords.slice(0, 7)),
        unless: otherwise(einWords),
        weak: true,
      },
    ],
    doc: 'US employer identification numbers, after words that say so.',
    examples: ['12-3456789'],
    source: 'IRS, How EINs are assigned and valid EIN prefixes',
  },
  {
    id: 'us_passport',
    categories: ['pii'],
    regions: ['us'],
    pattern: String.raw`\b[A-Z]\d{8}\b|${nineDigits}`,
    ignoreCase: true,
    context: { words: passportWords, within: 80 },
    unless: { words: [...otherwise(passportWords).words, ...otherPassports], within: 80 },
    weak: true,
    doc: 'US passport numbers: nine digits, or a letter and eight, after words that say so.',
    examples: ['C01234567', '912803456'],
    source: 'US Department of State, 7 FAM 1300; Presidio US_PASSPORT',
  },
  {
    id: 'us_driver_license',
    categories: ['pii'],
    regions: ['us'],
    pattern: [
      String.raw`\b[A-Z]{1,2}\d{5,14}\b`,
      String.raw`\b\d{7,10}\b`,
      // As they are printed: Florida and Maryland, Illinois and Wisconsin, Kansas and Virginia, New Jersey, New York.
      String.raw`\b[A-Z]-?\d{3}-\d{3}-(?:\d{2}-\d{3}-\d|\d{3}-\d{3})\b`,
      String.raw`\b[A-Z]\d{3}-\d{4}-\d{4}(?:-\d{2})?\b`,
      String.raw`\b[A-Z]\d{2}-\d{2}-\d{4}\b`,
      String.raw`\b[A-Z]\d{4} \d{5} \d{5}\b`,
      String.raw`\b\d{3} \d{3} \d{3}\b`,
      // Colorado, New Hampshire, Iowa, Vermont and Missouri, Washington.
      String.raw`\b\d{2}-\d{3}-\d{4}\b`,
      String.raw`\b\d{2}[A-Z]{3}\d{5,6}\b`,
      String.raw`\b\d{3}[A-Z]{2}\d{4}\b`,
      String.raw`\b\d{7,9}[A-Z]{1,2}\b`,
      String.raw`\bWDL[A-Z0-9]{9}\b`,
    ].join('|'),
    ignoreCase: true,
    validate: (candidate) => digitsOf(candidate).length >= 3,
    context: near(licenseWords),
    unless: otherwise(licenseWords),
    weak: true,
    doc: "US driver's licenses in the states' formats, after words that say so.",
    examples: ['D1234567', 'F123-456-78-901-0'],
    source: "AAMVA; the states' formats as in Presidio US_DRIVER_LICENSE",
  },
];
