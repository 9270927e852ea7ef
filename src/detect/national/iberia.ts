import type { Detector } from '../detector.ts';
import { isCif, isDni, isNie, isPortugueseNif } from './iberia-checks.ts';
import { taxWords } from './identity-words.ts';

const regions = ['es'] as const;

/** Spain and Portugal. */
export const iberia: readonly Detector[] = [
  {
    id: 'es_nif',
    categories: ['pii', 'finance'],
    regions,
    pattern: String.raw`\b\d{8}-?[A-Z]\b|\b\d{1,2}\.\d{3}\.\d{3}[ \-]?[A-Z]\b`,
    ignoreCase: true,
    validate: isDni,
    also: [
      { pattern: String.raw`\b\d{7,8}[ \-]?[A-Z]\b`, validate: isDni },
      {
        pattern: String.raw`\b[A-HJ-NP-SU-W]-?\d{7}-?[A-J0-9]\b|\b[KLM]\d{7}[A-Z]\b`,
        validate: isCif,
        context: { words: ['nif', 'cif', 'identificacion fiscal', 'numero fiscal', 'vat', 'tax id'] },
      },
    ],
    doc: 'Spanish NIF: the DNI of people with its right letter; that of companies after a word for it.',
    examples: ['12345678Z', '12345678-Z', '12.345.678-Z'],
    source: 'Ministerio del Interior, Cálculo del dígito de control del NIF/NIE; Orden EHA/451/2008',
  },
  {
    id: 'es_nie',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[XYZ]-?\d{7,8}-?[A-Z]\b|\b[XYZ]-?\d{1,2}\.\d{3}\.\d{3}-?[A-Z]\b`,
    ignoreCase: true,
    validate: isNie,
    also: [{ pattern: String.raw`\b[XYZ] \d{7} [A-Z]\b`, validate: isNie }],
    doc: 'Spanish identity numbers of foreigners (NIE) with their right letter.',
    examples: ['X9613851N', 'Y8063915-Z'],
    source: 'Ministerio del Interior, Cálculo del dígito de control del NIF/NIE',
  },
  {
    id: 'es_passport',
    categories: ['pii'],
    regions,
    pattern: String.raw`\b[A-Z]{3}\d{6}\b`,
    ignoreCase: true,
    context: { words: ['passport', 'travel document', 'pasaporte', 'documento de viaje'] },
    weak: true,
    also: [{ pattern: String.raw`\b[A-Z]{2}\d{6}\b`, context: { words: ['pasaporte'] }, weak: true }],
    doc: 'Spanish passport numbers, after a word for them.',
    examples: ['AAA123456'],
    source: 'Real Decreto 896/2003; ICAO Doc 9303 part 4',
  },
  {
    id: 'pt_nif',
    categories: ['pii', 'finance'],
    regions: ['pt'],
    pattern: String.raw`\b\d{9}\b|\b\d{3} \d{3} \d{3}\b|\b\d{3}\.\d{3}\.\d{3}\b`,
    validate: isPortugueseNif,
    context: {
      words: [
        ...taxWords,
        'nif',
        'nipc',
        'contribuinte',
        'numero de contribuinte',
        'numero fiscal',
        'identificacao fiscal',
        'identificacao civil',
        'financas',
        'iva',
        'portuguese id',
      ],
    },
    doc: 'Portuguese tax numbers (NIF, NIPC), with the check digit right and after a word for them.',
    examples: ['123456789', '501 964 843'],
    source: 'Autoridade Tributária, Decreto-Lei 14/2013',
  },
];
