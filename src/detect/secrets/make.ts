import type { Context, Detector, Pattern } from '../detector.ts';
import { isRandom, isVaried } from './values.ts';

export const gitleaks = 'gitleaks, config/gitleaks.toml';

/** Shapes that many issuers share. One source for one shape: the automaton has the same states for all of them. */
export const alnum = (length: number): string => String.raw`\b[A-Za-z0-9]{${length}}\b`;
export const hex = (length: number): string => String.raw`\b[a-f0-9]{${length}}\b`;
/**
 * Base64 for addresses (`more`: with other signs as well). Begins and ends in a dash too, where no word does. Two characters
 * of a word come before the next dash: `1-1-1-…` costs next to nothing.
 */
export const urlSafe = (length: number, longest = length, more = ''): string => {
  const rest = (less: number) => `[\\w\\-${more}]{${length - less},${longest - less}}`;
  const openings = [String.raw`\b\w{2}${rest(3)}`, String.raw`\b\w-\w{2}${rest(5)}`, String.raw`\B-\w{2}${rest(4)}`];
  return openings.flatMap((most) => [String.raw`${most}\w\b`, String.raw`${most}[\-${more}]\B`]).join('|');
};
/** Base64. Begins and ends in a sign too, where no word does. */
export const base64 = (length: number): string => {
  const rest = String.raw`[A-Za-z0-9+\/]{${length - 2}}`;
  return String.raw`\b\w${rest}\w\b|\b\w${rest}[+\/]\B|\B[+\/]${rest}\w\b`;
};
/**
 * A password of letters, digits and these signs. A short one has its digit in its pattern, so that plain words are no
 * candidates. What is counted begins with the match: from the first digit on, it would make a state of each pair of both.
 */
export const password = (signs: string): string => {
  const [letters, any] = [`[A-Za-z_${signs}]`, `[\\w${signs}]`];
  return [
    `\\b(?:[A-Za-z_]${letters}{0,2})?\\d${any}{3,12}`,
    `\\b[A-Za-z_]${letters}{3,13}\\d${any}{0,9}`,
    `\\b\\w${any}{14,30}`,
  ]
    .flatMap((most) => [String.raw`${most}\w\b`, String.raw`${most}[${signs}]\B`])
    .concat(String.raw`\b[A-Za-z_]${letters}{3,13}\d\b`)
    .join('|');
};

export const UUID = String.raw`\b[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b`;

/** What looks as random as a secret is: named nearer than the issuer, it is none. */
export const hashWords: Context = {
  words: [
    ...[
      'sha',
      'sha1',
      'sha256',
      'sha512',
      'md5',
      'hash',
      'commit',
      'checksum',
      'digest',
      'etag',
      'integrity',
      'revision',
    ],
    ...['fingerprint', 'uuid', 'guid', 'nonce', 'base64', 'build', 'image', 'id', 'ids'],
  ],
  within: 60,
};

/** A token that its prefix gives away. */
export const token = (
  id: string,
  pattern: string,
  doc: string,
  examples: readonly string[],
  source: string,
  options: Partial<Pick<Detector, 'ignoreCase' | 'validate' | 'also'>> = {},
): Detector => ({ id, categories: ['secrets'], pattern, validate: isVaried, ...options, doc, examples, source });

/** A token that its prefix gives away, too long to be waited for: masked from there on, and swallowed to its end. */
export const opener = (
  id: string,
  pattern: string,
  swallow: NonNullable<Detector['swallow']>,
  doc: string,
  examples: readonly string[],
  source: string,
): Detector => ({ id, categories: ['secrets'], pattern, swallow, doc, examples, source });

/** A value that could be anything: a secret only behind its issuer's name. `isId`: the name may end in `id`. */
export const near = (
  id: string,
  pattern: string,
  words: readonly string[],
  doc: string,
  examples: readonly string[],
  source: string,
  options: {
    readonly within?: number;
    readonly validate?: NonNullable<Pattern['validate']>;
    readonly isId?: boolean;
  } = {},
): Detector => ({
  id,
  categories: ['secrets'],
  pattern,
  ignoreCase: true,
  validate: options.validate ?? isRandom,
  context: { words, within: options.within ?? 60 },
  ...(options.isId === true ? {} : { unless: hashWords }),
  doc,
  examples,
  source,
});
