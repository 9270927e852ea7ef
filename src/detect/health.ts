import type { Detector } from './detector.ts';
import { isNhsNumber, isNpi } from './validators.ts';

// A letter that an MBI may have: none that looks like a digit.
const letter = '[AC-HJKMNP-RT-Y]';
const letterOrDigit = '[AC-HJKMNP-RT-Y0-9]';

/** Numbers of patients, insured people and those who treat them. */
export const health: readonly Detector[] = [
  {
    id: 'us_medicare_mbi',
    categories: ['health', 'pii'],
    // Positions: C A AN N A AN N A A N N; on cards with dashes after the 4th and the 7th.
    pattern: [
      String.raw`\b[1-9]${letter}${letterOrDigit}\d-${letter}${letterOrDigit}\d-${letter}{2}\d{2}\b`,
      String.raw`\b[1-9]${letter}${letterOrDigit}\d${letter}${letterOrDigit}\d${letter}{2}\d{2}\b`,
    ].join('|'),
    doc: 'US Medicare beneficiary identifiers, in capitals, with dashes or without.',
    examples: ['1EG4-TE5-MK73', '1EG4TE5MK73'],
    source: 'CMS, Understanding the Medicare Beneficiary Identifier (MBI) Format',
  },
  {
    id: 'us_npi',
    categories: ['health'],
    // Ten digits alone are anything: the word is asked for.
    pattern: String.raw`\bNPI(?: ?(?:number|no\.?|#))?(?: is)?[ :#=]{1,3}[12]\d{9}\b`,
    ignoreCase: true,
    validate: isNpi,
    doc: 'US national provider identifiers, where the word NPI is before them.',
    examples: ['NPI 1234567893', 'NPI number: 1245319599'],
    source: 'CMS, 45 CFR 162.406; ISO/IEC 7812-1 with the prefix 80840',
  },
  {
    id: 'uk_nhs',
    categories: ['health', 'pii'],
    // Alone, ten digits in groups are an American telephone number just as well: the letters are asked for.
    pattern: String.raw`\bNHS(?: ?(?:number|no\.?|#))?(?: is)?[ :#=]{1,3}\d{3}[ \-]?\d{3}[ \-]?\d{4}\b`,
    ignoreCase: true,
    validate: isNhsNumber,
    doc: 'UK NHS numbers, where the letters NHS are before them.',
    examples: ['NHS number: 943 476 5919', 'NHS 9434765919'],
    source: 'NHS Data Model and Dictionary, NHS NUMBER (modulus 11)',
  },
];
