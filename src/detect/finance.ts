import type { Detector } from './detector.ts';
import { isCardNumber, isIban, isNoCardNumber, isNoIban } from './validators.ts';

/** One separator between groups; a line may be broken there. */
const gap = String.raw`(?:[ .\-]|\r?\n)`;

/** What stands between groups of four where somebody typed or pasted them: a tab, a slash, two spaces, ` - `, `, `. */
const wideGap = String.raw`(?:[ .\-\t_\/]|[ ,] | - |\r?\n)`;

/** Money. */
export const finance: readonly Detector[] = [
  {
    id: 'credit_card',
    categories: ['finance', 'pii'],
    pattern: [
      String.raw`\b\d{14,19}\b`,
      // Groups as they are printed, also over lines: 4-4-4-4 and up to three more, 4-6-5 and 4-6-4, 4-3-3-3.
      String.raw`\b\d{4}${wideGap}\d{4}${wideGap}\d{4}${wideGap}\d{4}(?:${gap}?\d{1,3})?\b`,
      String.raw`\b\d{4}${gap}\d{6}${gap}\d{4,5}\b`,
      String.raw`\b\d{4}${gap}\d{3}${gap}\d{3}${gap}\d{3}\b`,
      // Any other grouping on one line.
      String.raw`\b\d{3,12}(?:[ \-]\d{3,12}){1,5}\b`,
      // Digits spelled out one by one, or in pairs.
      String.raw`\b\d(?:${gap}\d){12,18}\b`,
      String.raw`\b\d{2}(?:${gap}\d{2}){6,8}\b`,
    ].join('|'),
    // The fraction of a double: sixteen digits or so, and no card.
    decoys: [String.raw`\b0\.\d{13,24}\b`],
    validate: isCardNumber,
    refuses: isNoCardNumber,
    also: [
      {
        // As long as a Visa of old, and as the number of an article.
        pattern: String.raw`\b\d{13}\b`,
        validate: isCardNumber,
        unless: { words: ['ean', 'ean 13', 'gtin', 'barcode', 'bar code', 'isbn', 'upc'], within: 16 },
      },
    ],
    doc: 'Payment card numbers: a known issuer range and length, and a right check digit.',
    examples: ['4111 1111 1111 1111', '378282246310005'],
    source: 'ISO/IEC 7812-1',
  },
  {
    id: 'iban_code',
    categories: ['finance', 'pii'],
    pattern: String.raw`\b[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?\b`,
    ignoreCase: true,
    validate: isIban,
    refuses: isNoIban,
    doc: 'International bank account numbers: the length of their country, and a right checksum.',
    examples: ['DE89 3704 0044 0532 0130 00', 'GB82WEST12345698765432'],
    source: 'ISO 13616-1, SWIFT IBAN registry',
  },
];
