import { isMonotone } from './check-digits.ts';
import type { Detector } from './detector.ts';
import { otherwise } from './national/labels.ts';
import { digitsOf, luhn } from './validators.ts';

const vinWeights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
const vinValues: Readonly<Record<string, number>> = Object.fromEntries(
  ['AJ', 'BKS', 'CLT', 'DMU', 'ENV', 'FW', 'GPX', 'HY', 'RZ'].flatMap((letters, i) =>
    [...letters].map((letter) => [letter, i + 1]),
  ),
);

/** A vehicle identification number with a right check digit (its ninth): weights modulo 11, X is 10. */
function isVin(candidate: string): boolean {
  const vin = candidate.toUpperCase();
  const sum = vinWeights.reduce((at, weight, i) => at + weight * (vinValues[vin.charAt(i)] ?? Number(vin[i])), 0);
  return !isMonotone(vin) && '0123456789X'[sum % 11] === vin[8];
}

const imeiWords = [
  'imei',
  'imei number',
  'imei1',
  'imei2',
  'imei 1',
  'imei 2',
  'imei no',
  'meid',
  'device',
  'device id',
  'handset',
];
const vinWords = [
  'vin',
  'vin number',
  'vin no',
  'vehicle',
  'vehicle identification number',
  'vehicle id',
  'chassis',
  'chassis number',
  'chassis no',
  'frame number',
  'fahrgestellnummer',
  'fahrzeug identifizierungsnummer',
  'fahrzeug identifikationsnummer',
  'fahrzeug identnummer',
  'numero de chassis',
  'fin',
  'numero de chasis',
  'bastidor',
  'telaio',
];

/** Things that are somebody's. */
export const devices: readonly Detector[] = [
  {
    id: 'imei',
    categories: ['pii'],
    pattern: String.raw`\b\d{15}\b|\b\d{2}[ \-]\d{6}[ \-]\d{6}[ \-]\d\b`,
    validate: (candidate) => luhn(candidate) && !isMonotone(digitsOf(candidate)),
    context: { words: imeiWords },
    unless: otherwise(imeiWords),
    doc: 'Identities of mobile equipment (IMEI) with a right check digit, after words that say so.',
    examples: ['490154203237518', '49-015420-323751-8'],
    source: '3GPP TS 23.003 section 6.2',
  },
  {
    id: 'vin',
    categories: ['pii'],
    pattern: String.raw`\b[A-HJ-NPR-Z0-9]{17}\b`,
    ignoreCase: true,
    validate: isVin,
    context: { words: vinWords },
    unless: otherwise(vinWords),
    doc: 'Vehicle identification numbers with a right check digit, after words that say so.',
    examples: ['1HGCM82633A004352', '1M8GDM9AXKP042788'],
    source: 'ISO 3779; 49 CFR 565.15',
  },
];
