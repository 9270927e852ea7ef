import type { Detector } from '../detector.ts';
import { isFiscalCode, isPartitaIva } from './italy-checks.ts';

const regions = ['it'] as const;

// A digit, or a letter that stands for one.
const digit = '[0-9LMNP-V]';

const cardWords = [
  'carta di identita',
  'carta identita',
  "carta d'identita",
  'carta',
  'identita',
  'cie',
  'documento',
  'documento di riconoscimento',
  'riconoscimento',
  'espatrio',
  'italian id',
  'italian identity card',
  'identity card',
  'id card',
];

/** Italy. */
export const italy: readonly Detector[] = [
  {
    id: 'it_fiscal_code',
    categories: ['pii', 'finance'],
    regions,
    pattern: String.raw`\b[A-Z]{6}${digit}{2}[A-EHLMPR-T]${digit}{2}[A-Z]${digit}{3}[A-Z]\b`,
    ignoreCase: true,
    validate: isFiscalCode,
    also: [
      {
        pattern: String.raw`\b[A-Z]{3} [A-Z]{3} ${digit}{2}[A-EHLMPR-T]${digit}{2} [A-Z]${digit}{3} ?[A-Z]\b|\b[A-Z]{6}[ \-]${digit}{2}[A-EHLMPR-T]${digit}{2}[ \-][A-Z]${digit}{3}[ \-]?[A-Z]\b`,
        validate: isFiscalCode,
      },
    ],
    doc: 'Italian fiscal codes of people, with the right control letter.',
    examples: ['RSSMRA85T10A562S', 'RSS MRA 85T10 A562S'],
    source: 'Ministero delle Finanze, Decreto 23 dicembre 1976',
  },
  {
    id: 'it_driver_license',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-Z]{2}\d{7}[A-Z]\b|\bU1[B-HJ-NPR-UWYXZ0-9]{7}[A-Z]\b`,
    ignoreCase: true,
    context: {
      words: [
        'patente*',
        'guida',
        'licenza',
        'driving licence',
        'driving license',
        'driver license',
        'driver licence',
        "driver's license",
        "driver's licence",
        'licence number',
        'license number',
      ],
    },
    weak: true,
    doc: 'Italian driving licence numbers, after a word for them.',
    examples: ['AB1234567C', 'U1H6B8C5DF'],
    source: 'Ministero delle Infrastrutture e dei Trasporti; Directive 2006/126/EC annex I',
  },
  {
    id: 'it_vat_code',
    categories: ['finance', 'pii'],
    regions,
    pattern: String.raw`\bIT ?\d{11}\b`,
    validate: isPartitaIva,
    also: [
      { pattern: String.raw`\bIT\d{11}\b`, ignoreCase: true, validate: isPartitaIva },
      {
        pattern: String.raw`\b\d{11}\b|\b\d{5} \d{6}\b|\b\d{8}[ _]\d{3}\b|\b\d{3} \d{3} \d{3} \d{2}\b`,
        validate: isPartitaIva,
        context: {
          words: [
            'piva',
            'p iva',
            'partita iva',
            'partite iva',
            'iva',
            'pi',
            'vat',
            'vat code',
            'codice iva',
            'cf',
            'codice fiscale',
            'italian tax',
            'italian company',
          ],
        },
      },
    ],
    doc: 'Italian VAT numbers with a right check digit: with their prefix, or after a word for them.',
    examples: ['IT01333550323'],
    source: 'Agenzia delle Entrate, DPR 633/1972 article 35',
  },
  {
    id: 'it_identity_card',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-Z]{2}\d{7}\b|\b\d{7}[A-Z]{2}\b|\b[A-Z]{2}\d{5}[A-Z]{2}\b`,
    ignoreCase: true,
    context: { words: cardWords },
    weak: true,
    also: [{ pattern: String.raw`\b[A-Z]{2} \d{7}\b`, context: { words: cardWords }, weak: true }],
    doc: 'Italian identity card numbers, on paper or electronic, after a word for them.',
    examples: ['CA12345AB', 'AX1234567', '1234567AB'],
    source: "Ministero dell'Interno, Carta di identità elettronica",
  },
  {
    id: 'it_passport',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-Z]{2}\d{7}\b`,
    ignoreCase: true,
    context: { words: ['passaporto', 'passaporti', 'italian passport', 'documento di viaggio', 'viaggio', 'dogana'] },
    weak: true,
    doc: 'Italian passport numbers, after a word for them.',
    examples: ['YA1234567'],
    source: 'Ministero degli Affari Esteri; ICAO Doc 9303 part 4',
  },
];
