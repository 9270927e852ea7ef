import { createRequire } from 'node:module';
import {
  type CountryCode,
  Metadata,
  type MetadataJson,
  type NumberingPlan,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/core';
import { digitsOf } from './validators.ts';

// Read when a candidate first asks for it: 80 KB of JSON.
let metadata: MetadataJson | undefined;
const numberingPlans = (): MetadataJson => {
  metadata ??= createRequire(import.meta.url)('libphonenumber-js/metadata.min.json') as MetadataJson;
  return metadata;
};

/** Countries whose national numbers are known by sight: written with a trunk prefix 0. */
const withTrunkPrefix: readonly CountryCode[] = [
  'GB',
  'DE',
  'FR',
  'IT',
  'IL',
  'JP',
  'AU',
  'CN',
  'NL',
  'IN',
  'KR',
  'BE',
  'CH',
  'AT',
  'SE',
  'ZA',
  'NZ',
  'IE',
  'TR',
  'FI',
  'TH',
  'MY',
  'ID',
  'PH',
  'NG',
  'TW',
  'AE',
  'EG',
  'PK',
  'UA',
  'RO',
  'AR',
  'BR',
];
/** Countries whose national numbers are taken after a word, as well. */
const afterWord: readonly CountryCode[] = [
  'US',
  'IN',
  'BR',
  'CN',
  'ES',
  'MX',
  'DK',
  'NO',
  'SG',
  'HK',
  'PL',
  'PT',
  'CZ',
  'GR',
  'CL',
  'CO',
  'PE',
  'HU',
  'RU',
  'IL',
  'FR',
];

/** What the library's numbering plans can tell, and its types do not say. */
type Plan = NumberingPlan & { nationalNumberPattern(): string; nationalPrefix(): string | undefined };

/** What matches a national number, digits only, of any of these countries: with the trunk prefix, or without it. */
function nationalNumbers(countries: readonly CountryCode[]): RegExp {
  const plans = new Metadata(numberingPlans());
  const patterns = countries.map((country) => {
    plans.selectNumberingPlan(country);
    const plan = plans.numberingPlan as Plan;
    const prefix = plan.nationalPrefix();
    return `${prefix === undefined ? '' : `(?:${prefix})?`}(?:${plan.nationalNumberPattern()})`;
  });
  return new RegExp(`^(?:${patterns.join('|')})$`);
}

let trunked: RegExp | undefined;
let known: RegExp | undefined;

/** Whether `+` and digits are a number; `isGrouped`: one that may be, by its length, is enough. */
function isAbroad(number: string, isGrouped: boolean): boolean {
  const parsed = parsePhoneNumberFromString(number, { extract: false }, numberingPlans());
  return parsed !== undefined && (isGrouped ? parsed.isPossible() : parsed.isValid());
}

/** Ofcom's mobile numbers for use in drama: possible, and given to nobody. */
const drama = /^447700900\d{3}$/;

const KEPT_ANSWERS = 512;
const answers = new Map<string, boolean>();

/** Asks once for each number of late. */
function remembered(key: string, ask: () => boolean): boolean {
  const before = answers.get(key);
  if (before !== undefined) return before;
  if (answers.size >= KEPT_ANSWERS) answers.clear();
  const answer = ask();
  answers.set(key, answer);
  return answer;
}

/**
 * Area and exchange code of the North American Numbering Plan: neither begins with 0 or 1, nor is an N11. Area 555 is
 * nobody's, and what people write when they mean anybody's.
 */
const northAmerican = /^1?(?:555\d{7}|[2-9](?!11)\d\d[2-9](?!11)\d{6})$/;

/** Dates, and numbers of the US social security, that are written as groups of digits. */
const datelike =
  /^(?:\d{3}[ .-]\d{2}[ .-]\d{4}|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:19|20)\d\d[ .\-/]\d\d?[ .\-/]\d\d?|\d\d?[ .\-/]\d\d?[ .\-/](?:19|20)\d\d)$/;

/** A number of one digit only, or one that counts up: nobody's. */
const isNobodys = (digits: string): boolean => /^(\d)\1+$/.test(digits) || /^1234567890?$/.test(digits);

/** What is dialled before the extension. */
const withoutExtension = (candidate: string): string =>
  candidate.includes('x') ? candidate.replace(/,? ?(?:x|ext).*$/, '') : candidate;

/** A telephone number in E.164's international form: `+` or `00`, a country, and a number of its plan. */
export function isInternational(candidate: string): boolean {
  const number = withoutExtension(candidate);
  const digits = digitsOf(number.replace('(0)', '')).replace(/^00/, '');
  if (digits.length < 7 || digits.length > 15 || isNobodys(digits)) return false;
  if (digits.startsWith('1')) return digits.length === 11 && northAmerican.test(digits);
  const isGrouped = /\d[^\d]+\d/.test(number) || drama.test(digits);
  return remembered(`${isGrouped ? '++' : '+'}${digits}`, () => isAbroad(`+${digits}`, isGrouped));
}

/** As `isInternational`, with the 00 that other numbers begin with as well: one of a plan, not only as long as one. */
function isDialledAbroad(candidate: string): boolean {
  const digits = digitsOf(withoutExtension(candidate).replace('(0)', '')).slice(2);
  if (digits.startsWith('1')) return northAmerican.test(digits);
  return remembered(`+${digits}`, () => isAbroad(`+${digits}`, drama.test(digits)));
}

/** A national number that its shape tells: North American, or with a trunk prefix 0; or one as dialled from abroad, with 00. */
export function isNational(candidate: string): boolean {
  if (candidate.startsWith('00')) return isDialledAbroad(candidate);
  const digits = digitsOf(withoutExtension(candidate));
  if (isNobodys(digits) || datelike.test(candidate)) return false;
  if (!digits.startsWith('0')) return northAmerican.test(digits);
  if (digits.length < 9 || digits.length > 12) return false;
  trunked ??= nationalNumbers(withTrunkPrefix);
  return trunked.test(digits);
}

/** A number of seven digits, as one dials it within a town. */
export const isOfTown = (candidate: string): boolean => /^[2-9]/.test(candidate) && !isNobodys(candidate);

/** A national number of any country that people write from, for where a word says that it is one. */
export function isLocal(candidate: string): boolean {
  const number = withoutExtension(candidate);
  const digits = digitsOf(number);
  if (digits.length < 7 || digits.length > 15 || isNobodys(digits) || datelike.test(number)) return false;
  // Of somebody's exchange: 555-0132, 143 65 37.
  if (/^[2-9](?!11)\d\d[ .-]\d{4}$/.test(number) || /^\d{3}[ -]\d\d[ -]\d\d$/.test(number)) return true;
  if (digits.length < 8) return false;
  // Plans change, and there are more than we know: a trunk prefix after a word for telephones is enough.
  if (/^00[1-9]/.test(number)) return isDialledAbroad(number);
  if (/^\+|^\(?0[1-9]/.test(number) && digits.length >= 9 && digits.length <= 12) return true;
  if (northAmerican.test(digits) || isNational(number)) return true;
  known ??= nationalNumbers(afterWord);
  return known.test(digits) || (digits.length > 10 && digits[0] !== '0' && isInternational(`+${digits}`));
}
