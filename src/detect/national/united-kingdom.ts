import type { Detector } from '../detector.ts';
import { otherNumbers } from './identity-words.ts';
import { isCurrentPlate, isDrivingLicence, isNhsNumber, isNino, isPostcode } from './united-kingdom-checks.ts';

const regions = ['gb'] as const;

const nino = '[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]';
const inward = String.raw`\d[ABD-HJLNP-UW-Z]{2}`;
const outward = ['[A-PR-UWYZ][A-HK-Y]?[0-9][0-9ABCDEFGHJKMNPRSTUVWXY]?', 'GIR'];
const plateWords = [
  'vehicle',
  'registration',
  'registration number',
  'registration plate',
  'registered',
  'number plate',
  'licence plate',
  'license plate',
  'plate',
  'plates',
  'reg',
  'reg no',
  'vrn',
  'vrm',
  'dvla',
  'v5c',
  'logbook',
  'mot',
  'car',
  'van',
  'motorbike',
  'motorcycle',
  'parked',
  'driving a',
];

/** What only British passports are called: a passport of the United States has nine digits as well. */
export const britishPassportWords: readonly string[] = ['uk', 'british', 'gb', 'hm', 'hmpo', 'united kingdom'].flatMap(
  (whose) => ['passport', 'passport number', 'passport no', 'passport num'].map((word) => `${whose} ${word}`),
);

/** The United Kingdom: numbers of people and what is theirs. */
export const unitedKingdom: readonly Detector[] = [
  {
    id: 'uk_nhs',
    categories: ['health', 'pii'],
    regions,
    // Ten digits in groups are an American telephone number just as well: words are asked for.
    pattern: String.raw`\b\d{3} \d{3} \d{4}\b|\b\d{3}-\d{3}-\d{4}\b|\b\d{10}\b`,
    validate: isNhsNumber,
    context: {
      words: [
        'nhs',
        'nhs number',
        'nhs no',
        'national health',
        'national health service',
        'health service',
        'health authority',
        'health number',
        'health id',
        'patient',
        'patient id',
        'patient number',
        'hospital',
        'hospital number',
        'medical',
        'medical record',
        'gp',
      ],
    },
    doc: 'UK NHS numbers with a right check digit, after a word for them.',
    examples: ['943 476 5919', '9434765919'],
    source: 'NHS Data Model and Dictionary, NHS NUMBER (modulus 11)',
  },
  {
    id: 'uk_nino',
    categories: ['pii', 'finance'],
    regions,
    pattern: String.raw`\b${nino} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b|\b${nino}-\d{2}-\d{2}-\d{2}-[A-D]\b|\b${nino}-\d{6}-[A-D]\b`,
    validate: isNino,
    also: [
      {
        pattern: String.raw`\b${nino}\d{2} ?\d{2} ?\d{2}(?: ?[A-D])?\b`,
        ignoreCase: true,
        validate: isNino,
        context: {
          words: ['national insurance', 'national insurance number', 'ni number', 'ni no', 'nino', 'nin', 'hmrc'],
        },
      },
    ],
    doc: 'UK national insurance numbers, in capitals, or in any letters after a word for them.',
    examples: ['AB 12 34 56 C', 'AB123456C'],
    source: 'HMRC, National Insurance Manual NIM39110',
  },
  {
    id: 'uk_postcode',
    categories: ['pii'],
    regions,
    pattern: outward.map((code) => String.raw`\b${code} ${inward}\b`).join('|'),
    validate: isPostcode,
    also: [
      {
        pattern: outward.map((code) => String.raw`\b${code} ?${inward}\b`).join('|'),
        ignoreCase: true,
        validate: isPostcode,
        context: {
          words: [
            'postcode',
            'post code',
            'postal code',
            'zip',
            'zip code',
            'address',
            'delivery',
            'deliver',
            'mailing',
            'shipping',
            'correspondence',
            'street',
            'road',
            'lane',
            'avenue',
            'close',
            'london',
          ],
          within: 64,
        },
        weak: true,
      },
    ],
    doc: 'UK postcodes of an area that there is: with the space, or after a word for an address.',
    examples: ['SW1A 1AA', 'M1 1AE', 'GIR 0AA'],
    source: 'Royal Mail, PAF Programmers Guide',
  },
  {
    id: 'uk_vehicle_registration',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-HJ-PR-Y]{2}\d{2} [A-HJ-PR-Z]{3}\b`,
    validate: isCurrentPlate,
    unless: { words: otherNumbers, within: 24 },
    also: [
      {
        pattern: String.raw`\b[A-HJ-PR-Y]{2}\d{2}[ \-]?[A-HJ-PR-Z]{3}\b`,
        ignoreCase: true,
        validate: isCurrentPlate,
        context: { words: plateWords },
      },
      {
        pattern: String.raw`\b[A-HJ-NPR-TV-Y]\d{1,3}[ \-]?[A-HJ-PR-Y][A-HJ-PR-Z]{2}\b|\b[A-HJ-PR-Z]{3}[ \-]?\d{1,3}[ \-]?[A-HJ-NPR-TV-Y]\b`,
        context: { words: plateWords, within: 64 },
        weak: true,
      },
    ],
    doc: 'UK vehicle registrations: those since 2001 with their space; without it, and older ones, after a word for them.',
    examples: ['AB51 ABC', 'BD12 SMR'],
    source: 'DVLA, INF104 Vehicle registration numbers and number plates',
  },
  {
    id: 'uk_driving_licence',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-Z][A-Z9]{4}\d{6}[A-Z9]{2}[A-Z0-9][A-Z]{2}\b`,
    ignoreCase: true,
    validate: isDrivingLicence,
    also: [
      {
        pattern: String.raw`\b[A-Z][A-Z9]{4} \d{6} [A-Z9]{2}[A-Z0-9][A-Z]{2}\b`,
        validate: isDrivingLicence,
      },
    ],
    doc: 'UK driving licence numbers: a surname, a date of birth and initials in sixteen characters.',
    examples: ['MORGA657054SM9IJ', 'MORGA 657054 SM9IJ'],
    source: 'DVLA, Driver number format (D100)',
  },
  {
    id: 'uk_passport',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-Z]{2}\d{7}\b`,
    ignoreCase: true,
    context: { words: ['passport', 'travel document', 'hmpo', 'his majesty', 'her majesty', 'hm passport'] },
    weak: true,
    also: [
      {
        pattern: String.raw`\b\d{9}\b`,
        context: { words: britishPassportWords },
        weak: true,
      },
    ],
    doc: 'UK passport numbers, after a word for them.',
    examples: ['AB1234567'],
    source: 'HM Passport Office; ICAO Doc 9303 part 4',
  },
];
