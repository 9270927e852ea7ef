import type { Detector } from './detector.ts';
import { otherwise } from './national/labels.ts';
import { isNpi } from './validators.ts';

// A letter that an MBI may have: none that looks like a digit.
const letter = '[AC-HJKMNP-RT-Y]';
const letterOrDigit = '[AC-HJKMNP-RT-Y0-9]';

const npiWords = [
  'npi',
  'npi number',
  'npi no',
  'national provider',
  'national provider identifier',
  'provider',
  'provider id',
  'provider identifier',
  'provider number',
  'nppes',
  'taxonomy',
];
const deaWords = [
  'dea',
  'dea number',
  'dea no',
  'dea registration',
  'dea license',
  'medical',
  'medical license',
  'medical licence',
  'medical license number',
  'medical certificate',
  'certificate',
  'prescriber',
  'prescriber id',
  'physician',
  'physician license',
  'practitioner',
  'registrant',
  'controlled substance',
  'license',
  'license number',
];

/** A DEA registration number: its digits in odd places, and twice those in even ones, modulo 10. */
function isDea(candidate: string): boolean {
  const [a, b, c, d, e, f, check] = [...candidate.slice(2)].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return (a + c + e + 2 * (b + d + f)) % 10 === check && a + b + c + d + e + f > 0;
}

/** Numbers of patients, insured people and those who treat them. */
export const health: readonly Detector[] = [
  {
    id: 'us_mbi',
    categories: ['health', 'pii'],
    regions: ['us'],
    // Positions: C A AN N A AN N A A N N; on cards with dashes after the 4th and the 7th.
    pattern: [
      String.raw`\b[1-9]${letter}${letterOrDigit}\d-${letter}${letterOrDigit}\d-${letter}{2}\d{2}\b`,
      String.raw`\b[1-9]${letter}${letterOrDigit}\d${letter}${letterOrDigit}\d${letter}{2}\d{2}\b`,
    ].join('|'),
    also: [
      {
        pattern: String.raw`\b[1-9]${letter}${letterOrDigit}\d[ \-]?${letter}${letterOrDigit}\d[ \-]?${letter}{2}\d{2}\b`,
        ignoreCase: true,
        context: { words: ['medicare', 'mbi', 'beneficiary', 'beneficiary id', 'cms', 'hicn'] },
      },
    ],
    doc: 'US Medicare beneficiary identifiers, in capitals, with dashes or without; in small letters after words that say so.',
    examples: ['1EG4-TE5-MK73', '1EG4TE5MK73'],
    source: 'CMS, Understanding the Medicare Beneficiary Identifier (MBI) Format',
  },
  {
    id: 'us_npi',
    categories: ['health'],
    regions: ['us'],
    pattern: String.raw`\b[12]\d{9}\b|\b[12]\d{3}[ \-]\d{3}[ \-]\d{3}\b`,
    validate: isNpi,
    context: { words: npiWords },
    unless: otherwise(npiWords),
    doc: 'US national provider identifiers with a right check digit, after words that say so.',
    examples: ['1234567893', '1245319599'],
    source: 'CMS, 45 CFR 162.406; ISO/IEC 7812-1 with the prefix 80840',
  },
  {
    id: 'medical_license',
    categories: ['health', 'pii'],
    regions: ['us'],
    pattern: String.raw`\b[A-HJ-MPR-UX][A-Z9]\d{7}\b`,
    ignoreCase: true,
    validate: isDea,
    context: { words: deaWords },
    unless: otherwise(deaWords),
    doc: 'DEA registration numbers of US prescribers with a right check digit, after words that say so.',
    examples: ['BB1388568', 'F91234563'],
    source: '21 CFR 1301.13; DEA Diversion Control Division',
  },
];
