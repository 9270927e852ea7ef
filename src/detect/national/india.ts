import { isMonotone, verhoeff } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { otherwise } from './labels.ts';

const panBody = String.raw`[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]`;

// Codes of states and union territories in registrations, former ones included.
const states = new Set(
  'AN AP AR AS BR CG CH DD DL DN GA GJ HP HR JH JK KA KL LA LD MH ML MN MP MZ NL OD OR PB PY RJ SK TG TN TR TS UA UK UP WB'.split(
    ' ',
  ),
);

/** A registration: a state's code, or the series BH; no serial number 0000. */
function isRegistration(candidate: string): boolean {
  const plate = candidate.toUpperCase().replace(/[ -]/g, '');
  return !/0000[A-Z]{0,2}$/.test(plate) && (/^\d\dBH/.test(plate) || states.has(plate.slice(0, 2)));
}

/** Verhoeff, and no palindrome (as UIDAI says of Aadhaar). */
function isAadhaar(candidate: string): boolean {
  const digits = candidate.replace(/\D/g, '');
  return digits !== [...digits].reverse().join('') && !isMonotone(digits) && verhoeff(digits);
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** A GSTIN: a state's number (01 to 38, 97, 99), and the check character, weights 1 and 2 modulo 36. */
function isGstin(candidate: string): boolean {
  const gstin = candidate.toUpperCase();
  const state = Number(gstin.slice(0, 2));
  if (state < 1 || (state > 38 && state !== 97 && state !== 99)) return false;
  let sum = 0;
  for (let i = 0; i < 14; i++) {
    const product = alphabet.indexOf(gstin.charAt(i)) * (1 + (i % 2));
    sum += Math.floor(product / 36) + (product % 36);
  }
  return alphabet[(36 - (sum % 36)) % 36] === gstin[14];
}

const aadhaarWords = ['aadhaar', 'aadhar', 'adhaar', 'adhar', 'uidai', 'uid', 'आधार'];
const panWords = ['pan', 'pan card', 'pan number', 'permanent account', 'permanent account number'];
const passportWords = ['passport', 'passport number', 'passport no', 'पासपोर्ट'];
const voterWords = [
  'voter',
  'voter id',
  'voter card',
  'voters id',
  'epic',
  'epic number',
  'elector',
  'electoral',
  'election',
  'vote with your',
];
const gstinWords = ['gstin', 'gst', 'gst number', 'goods and services tax'];
const plateWords = [
  'vehicle',
  'plate',
  'registration',
  'registration number',
  'rto',
  'car',
  'bike',
  'scooter',
  'truck',
  'number plate',
  'license plate',
  'licence plate',
];

/** Numbers of India. */
export const india: readonly Detector[] = [
  {
    id: 'in_gstin',
    categories: ['finance'],
    regions: ['in'],
    pattern: String.raw`\b\d{2}${panBody}[1-9A-Z]Z[0-9A-Z]\b`,
    validate: isGstin,
    also: [
      {
        pattern: String.raw`\b\d{2}${panBody}[1-9A-Z]Z[0-9A-Z]\b`,
        ignoreCase: true,
        validate: isGstin,
        context: { words: gstinWords },
      },
    ],
    doc: 'Indian goods and services tax numbers, with a right check character.',
    examples: ['27AAPFU0939F1ZV'],
    source: 'GSTN, Structure of GSTIN',
  },
  {
    id: 'in_pan',
    categories: ['pii', 'finance'],
    regions: ['in'],
    pattern: String.raw`\b${panBody}\b`,
    also: [
      {
        pattern: String.raw`\b[A-Z]{5}\d{4}[A-Z]\b`,
        ignoreCase: true,
        context: { words: panWords },
        unless: otherwise(panWords),
      },
    ],
    doc: 'Indian permanent account numbers.',
    examples: ['ABCPE1234F'],
    source: 'Income Tax Department of India, Structure of PAN',
  },
  {
    id: 'in_aadhaar',
    categories: ['pii'],
    regions: ['in'],
    pattern: String.raw`\b[2-9]\d{11}\b|\b[2-9]\d{3}[ \-:]\d{4}[ \-:]\d{4}\b`,
    validate: isAadhaar,
    context: { words: aadhaarWords },
    unless: otherwise(aadhaarWords),
    doc: 'Indian Aadhaar numbers with a right check digit, after words that say so.',
    examples: ['2345 6789 0124', '234567890124'],
    source: 'UIDAI, A UID numbering scheme (Verhoeff)',
  },
  {
    id: 'in_passport',
    categories: ['pii'],
    regions: ['in'],
    pattern: String.raw`\b[A-Z][1-9]\d ?\d{4}[1-9]\b`,
    ignoreCase: true,
    context: { words: passportWords, within: 80 },
    unless: otherwise(passportWords),
    weak: true,
    doc: 'Indian passport numbers, after words that say so.',
    examples: ['J8369854'],
    source: 'Passport Seva, Ministry of External Affairs; Presidio IN_PASSPORT',
  },
  {
    id: 'in_voter',
    categories: ['pii'],
    regions: ['in'],
    pattern: String.raw`\b[A-Z]{3}\d{7}\b`,
    ignoreCase: true,
    context: { words: voterWords },
    unless: otherwise(voterWords),
    weak: true,
    doc: 'Numbers of Indian electors (EPIC), after words that say so.',
    examples: ['KSD1287349'],
    source: 'Election Commission of India, Electors Photo Identity Card',
  },
  {
    id: 'in_vehicle_registration',
    categories: ['pii'],
    regions: ['in'],
    pattern: [
      String.raw`\b[A-Z]{2}\d{1,2}[A-Z]{1,3}\d{4}\b`,
      String.raw`\b[A-Z]{2} \d{1,2}[A-Z]? [A-Z]{1,3} \d{4}\b`,
      String.raw`\b[A-Z]{2}-\d{1,2}-[A-Z]{1,3}-\d{4}\b`,
      String.raw`\b[A-Z]{2}\d{1,2} [A-Z]{1,3} ?\d{4}\b`,
      String.raw`\b\d{2}[ \-]?BH[ \-]?\d{4}[ \-]?[A-HJ-NP-Z]{1,2}\b`,
    ].join('|'),
    validate: isRegistration,
    also: [
      {
        pattern: String.raw`\b[A-Z]{2}-?\d{1,2}[ \-]?(?:[A-Z]{1,3})?[ \-]?\d{4}\b`,
        ignoreCase: true,
        validate: isRegistration,
        context: { words: plateWords },
        unless: otherwise(plateWords),
      },
    ],
    doc: 'Indian vehicle registrations, of a state or of the BH series.',
    examples: ['KA53ME3456', 'MH 12 AB 1234', '22 BH 1234 AA'],
    source: 'Central Motor Vehicles Rules 1989, rule 50',
  },
];
