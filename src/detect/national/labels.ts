import type { Context } from '../detector.ts';

/** Words before numbers that are nobody's: nearer than a number's own word, they say that this is another number. */
const things = [
  'order',
  'invoice',
  'receipt',
  'tracking',
  'shipment',
  'isbn',
  'issn',
  'ean',
  'upc',
  'sku',
  'serial',
  'part number',
  'part no',
  'model',
  'version',
  'build',
  'ticket',
  'case',
  'case number',
  'reference',
  'reference number',
  'ref',
  'confirmation',
  'commit',
  'timestamp',
  'zip',
  'zip code',
  'extension',
  'po',
  'quote',
  'batch',
  'lot',
];

/** Words before numbers of people and companies. */
const people = [
  'passport',
  'passport number',
  'ssn',
  'social security',
  'social security number',
  'itin',
  'ein',
  'routing',
  'routing number',
  'aba',
  'account',
  'account number',
  'acct',
  'account id',
  'license',
  'license number',
  'licence',
  'dl',
  'npi',
  'dea',
  'medicare',
  'phone',
  'phone number',
  'telephone',
  'tel',
  'mobile',
  'cell',
  'fax',
  'credit card',
  'credit card number',
  'debit card',
  'iban',
  'imei',
  'vin',
  'member id',
  'employee id',
  'customer id',
  'policy number',
];

/** The digits of a fraction: no number of anybody's, whatever word is before it. A decoy. */
export const fraction = String.raw`\b\d{1,3}\.\d{5,24}\b`;

/** Words that say that a number is another one: all that are not `own`. */
export function otherwise(own: readonly string[], within = 40): Context {
  const words = [...things, ...people].filter(
    (word) => !own.some((each) => each === word || each.startsWith(`${word} `) || word.startsWith(`${each} `)),
  );
  return { words, within };
}
