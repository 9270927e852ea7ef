import { isDay } from './check-digits.ts';
import type { Detector } from './detector.ts';

/** Months by name, folded: English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish. Index: month − 1. */
const monthNames: readonly (readonly string[])[] = [
  [
    'January',
    'Jan',
    'Januar',
    'Janner',
    'janvier',
    'janv',
    'enero',
    'ene',
    'gennaio',
    'janeiro',
    'januari',
    'stycznia',
    'ocak',
  ],
  ['February', 'Feb', 'Februar', 'fevrier', 'fevr', 'febrero', 'febbraio', 'fevereiro', 'februari', 'lutego', 'subat'],
  ['March', 'Mar', 'Marz', 'Maerz', 'mars', 'marzo', 'marco', 'maart', 'marca', 'mart'],
  ['April', 'Apr', 'avril', 'avr', 'abril', 'abr', 'aprile', 'kwietnia', 'nisan'],
  ['May', 'Mai', 'mayo', 'maggio', 'maio', 'mei', 'maj', 'maja', 'mayis'],
  ['June', 'Jun', 'Juni', 'juin', 'junio', 'giugno', 'junho', 'czerwca', 'haziran'],
  ['July', 'Jul', 'Juli', 'juillet', 'juil', 'julio', 'luglio', 'julho', 'lipca', 'temmuz'],
  ['August', 'Aug', 'aout', 'agosto', 'augustus', 'augusti', 'sierpnia', 'agustos'],
  ['September', 'Sept', 'Sep', 'septembre', 'septiembre', 'settembre', 'setembro', 'wrzesnia', 'eylul'],
  ['October', 'Oct', 'Oktober', 'Okt', 'octobre', 'octubre', 'ottobre', 'outubro', 'pazdziernika', 'ekim'],
  ['November', 'Nov', 'novembre', 'noviembre', 'novembro', 'listopada', 'kasim'],
  ['December', 'Dec', 'Dezember', 'Dez', 'decembre', 'diciembre', 'dicembre', 'dezembro', 'grudnia', 'aralik'],
];

const monthOf = new Map(monthNames.flatMap((names, i) => names.map((name) => [name.toLowerCase(), i + 1] as const)));

const month = `(?:${[...monthOf.keys()].join('|')})`;
const day = String.raw`(?:0?[1-9]|[12]\d|3[01])`;
const monthNumber = '(?:0?[1-9]|1[0-2])';
const year = String.raw`(?:18[5-9]\d|19\d\d|20[0-3]\d)`;
const midnight = String.raw`(?:[T ]00:00(?::00(?:\.0{1,6})?)?(?:Z|\+00:?00)?)?`;
/** Any one character beyond Latin: 年, 월. */
const sign = String.raw`[^\x00-\x7f]`;

/** A day that there is, between 1850 and 2039; day and month in either order where both are numbers. */
function isDate(candidate: string): boolean {
  const parts = candidate.toLowerCase().match(/\d+|[a-z]{3,}/g) ?? [];
  const named = parts.find((part) => monthOf.has(part));
  const numbers = parts.filter((part) => /^\d/.test(part));
  if (named !== undefined) {
    const [first, second] = numbers;
    if (first === undefined || second === undefined) return false;
    const yearFirst = first.length === 4;
    return isDay(wholeYear(yearFirst ? first : second), monthOf.get(named)!, Number(yearFirst ? second : first));
  }
  const [first, second, third] =
    numbers.length === 1
      ? /^(?:18|19|20)/.test(candidate)
        ? [candidate.slice(0, 4), candidate.slice(4, 6), candidate.slice(6)]
        : [candidate.slice(0, 2), candidate.slice(2, 4), candidate.slice(4)]
      : numbers;
  if (first === undefined || second === undefined || third === undefined) return false;
  if (first.length === 4) return isDay(Number(first), Number(second), Number(third.slice(0, 2)));
  const at = wholeYear(third);
  return isDay(at, Number(second), Number(first)) || isDay(at, Number(first), Number(second));
}

const wholeYear = (digits: string): number | undefined => (digits.length === 4 ? Number(digits) : undefined);

const birthWords = [
  'born',
  'born on',
  'born in',
  'dob',
  'd o b',
  'birth',
  'date of birth',
  'birth date',
  'birthdate',
  'birthday',
  'b day',
  'bday',
  'geboren',
  'geboren am',
  'geb',
  'geb am',
  'geburtsdatum',
  'geburtstag',
  'geburt',
  'ne le',
  'nee le',
  'nee',
  'naissance',
  'date de naissance',
  'anniversaire',
  'nato',
  'nata',
  'nato il',
  'nata il',
  'nascita',
  'data di nascita',
  'compleanno',
  'nacido',
  'nacida',
  'nacio',
  'nacimiento',
  'fecha de nacimiento',
  'cumpleanos',
  'nascido',
  'nascida',
  'nasceu',
  'nascimento',
  'data de nascimento',
  'aniversario',
  'geboortedatum',
  'geboorte',
  'verjaardag',
  'fodt',
  'fodd',
  'fodselsdato',
  'fodelsedatum',
  'fodelsedag',
  'syntynyt',
  'syntymaaika',
  'urodzony',
  'urodzona',
  'urodzenia',
  'data urodzenia',
  'narozen',
  'narozena',
  'datum narozeni',
  'dogum',
  'dogum tarihi',
  'szuletett',
  'nascut',
  'nascuta',
  'data nasterii',
  'lahir',
  'tanggal lahir',
  'tarikh lahir',
  'ngay sinh',
  'дата рождения',
  'родился',
  'родилась',
  'рождения',
  'день рождения',
  '出生',
  '出生日期',
  '生日',
  '生年月日',
  '誕生日',
  '생년월일',
  '생일',
  'תאריך לידה',
  'تاريخ الميلاد',
  'जन्म',
  'วันเกิด',
];

/** Words before dates on which something else happened to whoever was born. */
const otherDays = [
  'died',
  'death',
  'deceased',
  'date of death',
  'passed away',
  'dod',
  'gestorben',
  'gest',
  'expires',
  'expiry',
  'expiration',
  'valid until',
  'issued',
  'issue date',
  'admitted',
  'admission',
  'discharged',
  'hired',
  'hire date',
  'joined',
  'start date',
  'end date',
  'since',
  'visit',
  'visited',
  'seen on',
  'appointment',
  'updated',
  'created',
  'registered',
  'signed',
  'married',
  'today',
  'as of',
  'dated',
  'released',
  'version',
  'due',
  'order',
  'invoice',
];

/** Days of a person's life. */
export const dates: readonly Detector[] = [
  {
    id: 'date_of_birth',
    categories: ['pii'],
    pattern: [
      String.raw`\b${year}[\-\/.]${monthNumber}[\-\/.]${day}${midnight}\b`,
      String.raw`\b\d{1,2}[\-\/.]\d{1,2}[\-\/.](?:${year}|\d{2})\b`,
      String.raw`\b\d{1,2}(?: \/ | - |\. | )\d{1,2}(?: \/ | - |\. | )${year}\b`,
      String.raw`\b${year} \d{2} \d{2}\b`,
      String.raw`\b${year}\. \d{1,2}\. \d{1,2}\b`,
      String.raw`\b${year}${sign} ?\d{1,2}${sign} ?\d{1,2}${sign}`,
      // 12 May 1990, 12th of May, 1990, 12-May-90, 12. Mai 1990, 1er mai 1990, 12 de mayo de 1990.
      String.raw`\b${day}(?:st|nd|rd|th|er|\.)?(?: of | de |[ \-\/.])${month}\.?(?:,? |,| de | del |[\-\/.])(?:${year}|'?\d{2})\b`,
      String.raw`\b\d{1,2}${month}(?:${year}|\d{2})\b`,
      // May 12th, 1990, Mai 12 1990, May-12-1990.
      String.raw`\b${month}\.?[ \-\/]${day}(?:st|nd|rd|th)?(?:, ?| |-|\/)${year}\b`,
      String.raw`\b${year}[ \-]${month}[ \-]${day}\b`,
      String.raw`\b${year}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b`,
      String.raw`\b(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|[12]\d|3[01])${year}\b`,
    ].join('|'),
    ignoreCase: true,
    validate: isDate,
    context: { words: birthWords, within: 80 },
    unless: { words: otherDays, within: 40 },
    doc: 'Dates of birth in the usual spellings: a day that there is, after words that say so.',
    examples: ['1990-05-12', '12 May 1990', 'May 12th, 1990'],
    source: 'ISO 8601; Unicode CLDR (names of months)',
  },
];
