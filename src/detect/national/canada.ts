import { isMonotone } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf, luhn } from '../validators.ts';
import { fraction, otherwise } from './labels.ts';

const words = [
  'sin',
  'social insurance',
  'social insurance number',
  'social insurance no',
  'nas',
  'assurance sociale',
  "numero d'assurance sociale",
  'canada',
  'canadian',
];

/** Numbers of Canada. */
export const canada: readonly Detector[] = [
  {
    id: 'ca_sin',
    categories: ['pii'],
    regions: ['ca'],
    pattern: String.raw`\b\d{9}\b|\b\d{3} \d{3} \d{3}\b|\b\d{3}-\d{3}-\d{3}\b`,
    validate: (candidate) => candidate[0] !== '8' && luhn(candidate) && !isMonotone(digitsOf(candidate)),
    context: { words },
    unless: otherwise(words),
    decoys: [fraction],
    doc: 'Canadian social insurance numbers with a right check digit, after words that say so.',
    examples: ['130 692 544', '130-692-544', '130692544'],
    source: 'Service Canada, Social Insurance Number (Luhn; none begins with 8)',
  },
];
