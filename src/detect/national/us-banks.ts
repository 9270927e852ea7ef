import { weightedSum } from '../check-digits.ts';
import type { Detector } from '../detector.ts';
import { digitsOf } from '../validators.ts';
import { fraction, otherwise } from './labels.ts';

const accountWords = [
  'account',
  'account number',
  'account no',
  'acct',
  'acct number',
  'acct no',
  'a c',
  'bank account',
  'checking',
  'checking account',
  'savings',
  'savings account',
  'direct deposit',
  'debit',
];
const routingWords = [
  'routing',
  'routing number',
  'routing no',
  'routing transit number',
  'abarouting',
  'bankrouting',
  'aba',
  'aba number',
  'rtn',
  'transit',
  'ach',
  'wire',
  'fedwire',
  'bank code',
];

/** First two digits of a routing number: Federal Reserve districts, thrifts, electronic, traveller's cheques. */
const district = /^(?:0\d|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)/;

/** An ABA routing number: its district, and weights 3, 7, 1 modulo 10. */
function isRoutingNumber(candidate: string): boolean {
  const digits = digitsOf(candidate);
  return district.test(digits) && Number(digits) > 0 && weightedSum(digits, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0;
}

/** Banks of the United States. */
export const usBanks: readonly Detector[] = [
  {
    id: 'aba_routing_number',
    categories: ['finance'],
    regions: ['us'],
    pattern: String.raw`\b\d{9}\b|\b\d{4}-\d{4}-\d\b`,
    validate: isRoutingNumber,
    context: { words: routingWords },
    // Not `account`: the head of a table has both words, and the check digit tells the two apart.
    unless: otherwise([...routingWords, 'account', 'acct']),
    doc: 'US bank routing numbers with a right check digit, after words that say so.',
    examples: ['021000021', '0210-0002-1'],
    source: 'ABA Routing Number Policy; ANSI X9.13',
  },
  {
    id: 'us_bank_number',
    categories: ['finance', 'pii'],
    regions: ['us'],
    pattern: String.raw`\b\d{8,17}\b|\b\d{4}[ \-]\d{4}[ \-]\d{4}\b`,
    context: { words: accountWords, within: 64 },
    unless: {
      words: [...otherwise(accountWords).words, 'account id', 'a c n', 'a b n', 'account opened', 'account created'],
      within: 40,
    },
    weak: true,
    decoys: [fraction],
    doc: 'US bank account numbers: 8 to 17 digits after words that say so.',
    examples: ['000123456789'],
    source: 'Nacha Operating Rules (account numbers of up to 17 characters); Presidio US_BANK_NUMBER',
  },
];
