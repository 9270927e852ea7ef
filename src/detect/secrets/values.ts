/** What tells a secret from what only has its shape: validators, in folded text. */
import { entropy } from '../entropy.ts';

/** Seven times the same character, or a word that says so: nobody's secret. */
const placeholder =
  /(.)\1{6}|x{5}|\*{4}|your[_-]?|example|placeholder|redacted|change[_-]?me|dummy|insert[_-]|replace[_-]|sample/i;

/** Anything that is no placeholder. */
export const isVaried = (candidate: string): boolean => !placeholder.test(candidate);

/** The same, of what no prefix speaks for: no name of a variable. */
export const isVariedWithDigit = (candidate: string): boolean =>
  candidate.length >= 10 && /\d/.test(candidate) && !/^[A-Z]+_[A-Z0-9_]+$/.test(candidate) && isVaried(candidate);

/** Whatever has the shape: where long runs of one character belong to it. */
export const isAny = (candidate: string): boolean => candidate.length > 0;

/** Prefixes of tokens that are as long as what else their issuers give out: theirs, whatever stands before them. */
const prefixed = /^(?:nf[pcoub]_|AKCp|cmVmd|aio_|(?:sdk|api|mob)-|sha)/;

/** Letters and digits in no order: what a machine has drawn. */
export function isRandom(candidate: string): boolean {
  if (prefixed.test(candidate)) return false;
  if (!/\d/.test(candidate) || !/[A-Za-z]/.test(candidate)) return false;
  if (placeholder.test(candidate)) return false;
  // Of n characters, log2(n) bits at most: 24 random hexadecimal digits have some 3.4, and seldom less than 2.8.
  return entropy(candidate) >= Math.min(2.7, Math.log2(candidate.length) - 0.9);
}

/** Words that names, paths and placeholders are made of, and random text next to never. */
const words = new RegExp(
  [
    'about account action address admin agent algorithm amazon android angular answer apache apple array article async',
    'attribute audio author azure backend background backup base64 basic batch before button cache callback camera cancel',
    'category channel class click client cloud code color column command comment commit common company component compress',
    'config connect console const container content context control convert cookie count create credential current custom',
    'data date debug decode default define delete demo deploy design detail device digest digital directory disable display',
    'docker document domain download driver dynamic editor element email empty enable encode engine error event example',
    'execute expire export express extension external factory false fetch field file filter find first folder foobar format',
    'forward function gateway generate getenv global google group handle handler hash header hello height helper hidden home',
    'host html http icon image import index info input insert instance integer internal invalid issue item javascript json',
    'keyboard label lambda language layout length level library license limit line list listener loader local location lock',
    'login lorem manager manifest mapping markdown master match media member memory menu message meta method metric middle',
    'migration mobile mock model module monitor mount music mysql name native network node none normal notice null number',
    'oauth object offset online open operator option order origin output package page panel param parent parse parser part',
    'pass path pattern payload person phone pixel plain platform player plugin point policy popup position prefix present',
    'preview process product profile project prompt proxy public query queue random range react read record redirect refer',
    'refresh region register release remote remove render replace report request require reset resource response result',
    'return role route router rule runtime sample schema screen script scroll search secret section security select sender',
    'server service session setting setup shadow shape share show signature simple single site socket sort source space',
    'spring stack standard start state static status step stop storage store stream string struct style submit success',
    'suffix support switch symbol sync system table target task template test text theme thread time title toggle token tool',
    'total trace tracker transfer transform tree trigger true type undefined unique unit update upload user util valid value',
    'variable vector vendor version video view visible visual void wait webhook website widget width window word work world',
    'wrapper write your',
  ]
    .join(' ')
    .split(' ')
    .join('|'),
  'i',
);

/** Of the text that was asked about last: where its first digit is, and where the first word in it ends. */
const read = { text: '', firstDigit: 0, wordEnd: 0 };

function readText(folded: string): void {
  const digit = folded.search(/\d/);
  const ends = [placeholder, words].flatMap((pattern) => {
    const match = pattern.exec(folded);
    return match === null ? [] : [match.index + match[0].length];
  });
  read.text = folded;
  read.firstDigit = digit < 0 ? folded.length : digit;
  read.wordEnd = Math.min(Number.POSITIVE_INFINITY, ...ends);
}

/** Whether the beginning of a text has no digit: found once for all of its beginnings. */
export function hasNoDigit(folded: string, length: number): boolean {
  if (read.text !== folded) readText(folded);
  return length <= read.firstDigit;
}

/** Whether the beginning of a text is no `isUnnamedSecret` by its digits or words: read once for all of its beginnings. */
export function isNoUnnamedSecret(folded: string, length: number): boolean {
  return hasNoDigit(folded, length) || length >= read.wordEnd;
}

const hasWord = (candidate: string): boolean =>
  read.text.startsWith(candidate)
    ? candidate.length >= read.wordEnd
    : placeholder.test(candidate) || words.test(candidate);

/** A random value where nothing but a name (`token`, `secret`) speaks for it. */
export function isUnnamedSecret(candidate: string): boolean {
  if (candidate.length < 10) return false;
  // Most candidates are plain words.
  const digits = candidate.match(/\d+/g);
  if (digits === null || !/[A-Za-z]/.test(candidate) || placeholder.test(candidate)) return false;
  if (
    /^\d{4}-\d\d-\d\d|^v?\d+\.\d+|\.\w{1,5}$|^sha\d|^0x/i.test(candidate) &&
    !/[A-Za-z]{2}.*\d.*[A-Z]/.test(candidate)
  )
    return false;
  // `oauth2-proxy-config1`, `utf8mb4_general_ci`: one or two digits at the end of words.
  if (
    digits.length === 1 &&
    /^[a-z]+(?:[_.\-/][a-z]+)*\d{1,4}$/i.test(candidate) &&
    !/[A-Z][a-z]*[A-Z][a-z][A-Z]|[B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{5}/.test(candidate)
  )
    return false;
  if (candidate.split(/[/.\-_]/).length > Math.max(3, candidate.length / 7)) return false;
  // Sixteen digits have four bits at most.
  const least = /^[a-f0-9]+$/i.test(candidate) ? 3 : 3.4;
  if (entropy(candidate) < Math.min(least, Math.log2(candidate.length) - 0.65)) return false;
  return !hasWord(candidate);
}

/** What somebody has thought up: letters, digits, and a sign or capitals. */
export function isPassword(candidate: string): boolean {
  if (!isNamedPassword(candidate)) return false;
  return /[A-Z]/.test(candidate) || /[!@#$%^&*]/.test(candidate);
}

/** The same, where there can be nothing but a password. */
export const isNamedPassword = (candidate: string): boolean =>
  candidate.length >= 8 && /\d/.test(candidate) && /[A-Za-z]/.test(candidate) && isVaried(candidate);

/** Base64, of plain text or of random bytes, as the values in a Kubernetes secret. */
export function isEncoded(candidate: string): boolean {
  if (candidate.length % 4 !== 0 || !/[A-Z]/.test(candidate) || !/[a-z]/.test(candidate)) return false;
  if (candidate.length >= 12 && isRandom(candidate) && !words.test(candidate)) return true;
  // Mostly the first bytes say no.
  return decodesTo(text, candidate.slice(0, 8)) && decodesTo(text, candidate);
}

const text = /^[\t\n\r\x20-\x7e]+$/;
const decodesTo = (pattern: RegExp, encoded: string) => pattern.test(Buffer.from(encoded, 'base64').toString('latin1'));

/** Base64 of a name and a password. */
export const isEncodedUserAndPassword = (candidate: string): boolean =>
  decodesTo(/^[^:]{1,100}:[\x20-\x7e]{1,200}$/, candidate) && decodesTo(text, candidate);

/** A name and a password: not the numbers of a user and a group, nor a time. */
export function isUserAndPassword(candidate: string): boolean {
  const [user = '', password = ''] = candidate.split(/:(.*)/s);
  return (
    /[A-Za-z]/.test(user) && !/^\d{1,5}$|^\/\/|^\$\{?[A-Z_]{1,40}\}?$/.test(password) && !placeholder.test(password)
  );
}
