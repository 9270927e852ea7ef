import type { Detector } from '../detector.ts';
import { isEuVat, isEuVatShape } from './eu-vat-checks.ts';

const gap = String.raw`[ .\-]`;

/** Value added tax, across Europe. */
export const euVat: readonly Detector[] = [
  {
    id: 'eu_vat_id',
    categories: ['finance', 'pii'],
    regions: [
      ...[
        'at',
        'be',
        'bg',
        'cy',
        'cz',
        'de',
        'dk',
        'ee',
        'es',
        'fi',
        'fr',
        'gb',
        'gr',
        'hr',
        'hu',
        'ie',
        'it',
        'lt',
        'lu',
      ],
      ...['lv', 'mt', 'nl', 'pl', 'pt', 'ro', 'se', 'si', 'sk'],
    ],
    pattern: [
      // As VIES has them, and in the groups that people make.
      String.raw`\b(?:CZ|RO|DK|FI|HU|LU|MT|SI|BE|DE|EE|EL|GB|XI|PT|PL|SK|HR|IT|LV|SE)${gap}?\d{8,12}\b`,
      String.raw`\b(?:DK|FI|HU|LU|MT|SI)${gap}\d{2,4}(?:${gap}\d{2,4}){1,3}\b`,
      String.raw`\b(?:BE|DE|EE|EL|GB|XI|PT|PL|SK|HR|IT|LV|SE)${gap}?\d{3,4}(?:${gap}\d{2,4}){2,3}\b`,
      String.raw`\bATU${gap}?\d{8}\b|\bAT U\d{8}\b`,
      String.raw`\bES${gap}?[A-Z0-9]\d{7}[A-Z0-9]\b`,
      String.raw`\bFR${gap}?[A-HJ-NP-Z0-9]{2} ?\d{3} ?\d{3} ?\d{3}\b`,
      String.raw`\bIE${gap}?\d{7}[A-W][A-IW]?\b`,
      String.raw`\bNL${gap}?\d{9}${gap}?B\d{2}\b|\bNL${gap}?\d{4}\.\d{2}\.\d{3}\.?B\.?\d{2}\b`,
    ].join('|'),
    validate: isEuVat,
    also: [
      {
        pattern: String.raw`\b(?:BG|CZ|LT|RO) ?\d{2,12}\b|\bCY ?\d{8}[A-Z]\b`,
        validate: isEuVatShape,
        context: {
          words: ['vat', 'vat id', 'vat no', 'vat number', 'tva', 'dic', 'cui', 'cif', 'pvm', 'dds', 'tax', 'fpa'],
        },
      },
    ],
    doc: 'VAT identification numbers of the EU, the UK and Northern Ireland, with their prefix and right check digits.',
    examples: ['ATU13585627', 'FR40303265045', 'NL123456782B90'],
    source: 'European Commission, VIES; Directive 2006/112/EC article 215',
  },
];
