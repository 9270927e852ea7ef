import { isMonotone, isYmd, weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf } from '../validators.ts';
import { otherwise } from './labels.ts';

/** A check digit of Brazil: 11 less the remainder by 11; 0 where that has two digits. */
const brazilian = (sum: number): number => (sum % 11 < 2 ? 0 : 11 - (sum % 11));

/** A Brazilian CPF: two check digits modulo 11. */
function isCpf(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return (
    !isMonotone(digits) &&
    brazilian(weightedSum(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2])) === Number(digits[9]) &&
    brazilian(weightedSum(digits, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) === Number(digits[10])
  );
}

/** A Brazilian CNPJ: two check digits modulo 11. Letters, in use from 2026, count as their ASCII code less 48. */
function isCnpj(candidate: string): boolean {
  const cnpj = candidate.toUpperCase().replace(/[^A-Z0-9]/g, '');
  return (
    !isMonotone(cnpj) &&
    brazilian(weightedSum(cnpj, [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) === Number(cnpj[12]) &&
    brazilian(weightedSum(cnpj, [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) === Number(cnpj[13])
  );
}

const curpStates = new Set(
  'AS BC BS CC CH CL CM CS DF DG GR GT HG JC MC MN MS NE NL NT OC PL QR QT SL SP SR TC TL TS VZ YN ZS'.split(' '),
);
// The Ñ of the original folds to N, which is one less: no check digit then, as for all that folds.
const curpAlphabet = '0123456789ABCDEFGHIJKLMN-OPQRSTUVWXYZ';

/** A Mexican CURP: a date, a state, and a check digit, weights 18 to 2 modulo 10. */
function isCurp(candidate: string): boolean {
  const curp = candidate.toUpperCase();
  if (!isYmd(curp.slice(4, 10)) || !curpStates.has(curp.slice(11, 13))) return false;
  let sum = 0;
  for (let i = 0; i < 17; i++) sum += (18 - i) * curpAlphabet.indexOf(curp.charAt(i));
  return (10 - (sum % 10)) % 10 === Number(curp[17]);
}

const rfcAlphabet = '0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ ';

/** A Mexican RFC: a date. */
const hasRfcDate = (candidate: string): boolean => isYmd(digitsOf(candidate.replace(/^[A-Z&]+[ -]?/i, '')));

/** A Mexican RFC: a date, and a check character, weights 13 to 2 modulo 11. */
function isRfc(candidate: string): boolean {
  const rfc = candidate.toUpperCase().padStart(13, ' ');
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += (13 - i) * rfcAlphabet.indexOf(rfc.charAt(i));
  return hasRfcDate(candidate) && '0123456789A'[(11 - (sum % 11)) % 11] === rfc[12];
}

/** An Argentine CUIT or CUIL: a kind of person, and a check digit modulo 11. */
function isCuit(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const sum = weightedSum(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
  return /^(?:2[03-7]|3[034]|5[015])/.test(digits) && '01234567899'[(11 - (sum % 11)) % 11] === digits[10];
}

/** A Chilean RUT: the check character is 11 less the sum modulo 11, weights 2 to 7 from the right; K is 10. */
function isRut(candidate: string): boolean {
  const rut = candidate.toUpperCase().replace(/[^0-9K]/g, '');
  const digits = rut.slice(0, -1).padStart(8, '0');
  const check = 11 - (weightedSum(digits, [3, 2, 7, 6, 5, 4, 3, 2]) % 11);
  return !isMonotone(digits) && '0123456789K0'[check] === rut.at(-1);
}

/** A Colombian NIT: primes as weights from the right, modulo 11. */
function isNit(candidate: string): boolean {
  const digits = digitsOf(candidate).padStart(10, '0');
  const remainder = weightedSum(digits, [41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11;
  return Number(digits) > 0 && (remainder < 2 ? remainder : 11 - remainder) === Number(digits[9]);
}

/** A Peruvian RUC: a kind of person, and a check digit modulo 11. */
function isRuc(candidate: string): boolean {
  const remainder = 11 - (weightedSum(candidate, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11);
  return /^(?:1[0567]|20)/.test(candidate) && remainder % 10 === Number(candidate[10]);
}

/** A Mexican CLABE: weights 3, 7, 1, each product modulo 10. */
function isClabe(candidate: string): boolean {
  const digits = digitsOf(candidate);
  const sum = weightedSum(digits, [3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7]);
  return Number(digits) > 0 && (10 - (sum % 10)) % 10 === Number(digits[17]);
}

const cpfWords = ['cpf', 'cadastro de pessoas fisicas', 'contribuinte'];
const cnpjWords = ['cnpj', 'cadastro nacional', 'empresa'];
const curpWords = ['curp', 'clave unica'];
const rfcWords = ['rfc', 'registro federal', 'registro federal de contribuyentes', 'contribuyente'];
const clabeWords = ['clabe', 'clabe interbancaria', 'cuenta', 'spei'];
const cuitWords = ['cuit', 'cuil', 'c u i t', 'c u i l', 'afip', 'clave unica'];
const dniWords = [
  'dni',
  'd n i',
  'documento',
  'documento nacional',
  'documento nacional de identidad',
  'nro de documento',
];
const rutWords = ['rut', 'run', 'r u t', 'rol unico', 'rol unico tributario', 'cedula', 'chile'];
const nitWords = ['nit', 'n i t', 'tributaria', 'identificacion tributaria'];
const rucWords = ['ruc', 'r u c', 'contribuyente', 'sunat'];

/** Numbers of Latin America. */
export const latinAmerica: readonly Detector[] = [
  {
    id: 'br_cpf',
    categories: ['pii'],
    regions: ['br'],
    pattern: String.raw`\b\d{3}\.\d{3}\.\d{3}-\d{2}\b`,
    validate: isCpf,
    also: [
      {
        pattern: String.raw`\b\d{11}\b|\b\d{9}-\d{2}\b|\b\d{3}[ .\-]\d{3}[ .\-]\d{3}[ .\-]\d{2}\b`,
        validate: isCpf,
        context: { words: cpfWords },
        unless: otherwise(cpfWords),
      },
    ],
    doc: 'Brazilian CPF numbers with right check digits: with dots, or after words that say so.',
    examples: ['111.444.777-35'],
    source: 'Receita Federal do Brasil, Cadastro de Pessoas Físicas',
  },
  {
    id: 'br_cnpj',
    categories: ['finance'],
    regions: ['br'],
    pattern: String.raw`\b[A-Z0-9]{2}\.[A-Z0-9]{3}\.[A-Z0-9]{3}\/[A-Z0-9]{4}-\d{2}\b`,
    validate: isCnpj,
    also: [
      {
        pattern: String.raw`\b[A-Z0-9]{12}\d{2}\b|\b[A-Z0-9]{8}\/[A-Z0-9]{4}-\d{2}\b`,
        ignoreCase: true,
        validate: isCnpj,
        context: { words: cnpjWords },
        unless: otherwise(cnpjWords),
      },
    ],
    doc: 'Brazilian CNPJ numbers with right check digits: with dots, or after words that say so.',
    examples: ['11.222.333/0001-81', '12.ABC.345/01DE-35'],
    source: 'Receita Federal do Brasil, Cadastro Nacional da Pessoa Jurídica; IN RFB 2229/2024',
  },
  {
    id: 'mx_curp',
    categories: ['pii'],
    regions: ['mx'],
    pattern: String.raw`\b[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d\b`,
    ignoreCase: true,
    validate: isCurp,
    also: [
      {
        pattern: String.raw`\b[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d\b`,
        ignoreCase: true,
        validate: (curp) => isYmd(curp.slice(4, 10)),
        context: { words: curpWords },
      },
    ],
    doc: 'Mexican CURP: a date of birth, a state, and a right check digit; after the word, without one.',
    examples: ['HEGG560427MVZRRL04'],
    source: 'RENAPO, Instructivo normativo para la asignación de la CURP',
  },
  {
    id: 'mx_rfc',
    categories: ['pii', 'finance'],
    regions: ['mx'],
    pattern: String.raw`\b[A-Z&]{3,4}\d{6}[A-Z0-9]{2}[0-9A]\b`,
    validate: isRfc,
    also: [
      {
        pattern: String.raw`\b[A-Z&]{3,4}-?\d{6}(?:[ \-]?[A-Z0-9]{3})?\b`,
        ignoreCase: true,
        validate: hasRfcDate,
        context: { words: rfcWords },
      },
    ],
    doc: 'Mexican taxpayer numbers (RFC): a date, and a right check character; after the word, without one.',
    examples: ['GODE561231GR8'],
    source: 'SAT, Estructura del RFC',
  },
  {
    id: 'mx_clabe',
    categories: ['finance'],
    regions: ['mx'],
    pattern: String.raw`\b\d{18}\b|\b\d{3} \d{3} \d{11} \d\b`,
    validate: isClabe,
    context: { words: clabeWords },
    unless: otherwise(clabeWords),
    doc: 'Mexican bank accounts (CLABE) with a right check digit, after words that say so.',
    examples: ['032180000118359719'],
    source: 'Banco de México, Circular 3/2012',
  },
  {
    id: 'ar_cuit',
    categories: ['pii', 'finance'],
    regions: ['ar'],
    pattern: String.raw`\b\d{2}-\d{8}-\d\b`,
    validate: isCuit,
    also: [
      {
        pattern: String.raw`\b\d{11}\b|\b\d{2}[ .\/]\d{8}[ .\/]\d\b|\b\d{2}-\d{2}\.\d{3}\.\d{3}-\d\b`,
        validate: isCuit,
        context: { words: cuitWords },
        unless: otherwise(cuitWords),
      },
    ],
    doc: 'Argentine CUIT and CUIL numbers with a right check digit: with dashes, or after words that say so.',
    examples: ['20-05536168-2'],
    source: 'ARCA (AFIP), CUIT; python-stdnum ar.cuit',
  },
  {
    id: 'ar_dni',
    categories: ['pii'],
    regions: ['ar'],
    pattern: String.raw`\b\d{7,8}\b|\b\d{1,2}\.\d{3}\.\d{3}\b`,
    context: { words: dniWords, within: 72 },
    unless: otherwise(dniWords),
    weak: true,
    doc: 'Argentine identity documents, after words that say so.',
    examples: ['20.123.456', '20123456'],
    source: 'RENAPER, Documento Nacional de Identidad',
  },
  {
    id: 'cl_rut',
    categories: ['pii', 'finance'],
    regions: ['cl'],
    pattern: String.raw`\b\d{1,2}\.\d{3}\.\d{3}-[0-9Kk]\b`,
    validate: isRut,
    also: [
      {
        pattern: String.raw`\b\d{7,8}-?[0-9Kk]\b`,
        validate: isRut,
        context: { words: rutWords },
        unless: otherwise(rutWords),
      },
    ],
    doc: 'Chilean RUT and RUN numbers with a right check character: with dots, or after words that say so.',
    examples: ['12.531.909-2'],
    source: 'Servicio de Registro Civil e Identificación of Chile',
  },
  {
    id: 'co_nit',
    categories: ['finance', 'pii'],
    regions: ['co'],
    pattern: String.raw`\b\d{3}\.\d{3}\.\d{3} ?- ?\d\b|\b\d{9}-\d\b|\b\d{10}\b`,
    validate: isNit,
    context: { words: nitWords },
    unless: otherwise(nitWords),
    doc: 'Colombian tax numbers (NIT) with a right check digit, after words that say so.',
    examples: ['213.123.432-1', '2131234321'],
    source: 'DIAN, Número de Identificación Tributaria',
  },
  {
    id: 'pe_ruc',
    categories: ['finance', 'pii'],
    regions: ['pe'],
    pattern: String.raw`\b[12]\d{10}\b`,
    validate: isRuc,
    context: { words: rucWords },
    unless: otherwise(rucWords),
    doc: 'Peruvian taxpayer numbers (RUC) with a right check digit, after words that say so.',
    examples: ['20512333797'],
    source: 'SUNAT, Registro Único de Contribuyentes',
  },
];
