import type { Context, Detector, Pattern } from '../detector.ts';
import { isRandom, isVaried } from './values.ts';

export const gitleaks = 'gitleaks, config/gitleaks.toml';

/** Shapes that many issuers share. One source for one shape: the automaton has the same states for all of them. */
export const alnum = (length: number): string => String.raw`\b[A-Za-z0-9]{${length}}\b`;
export const hex = (length: number): string => String.raw`\b[a-f0-9]{${length}}\b`;
/** May end in a dash, which is no word's end. Two characters of a word come first: `1-1-1-…` costs next to nothing. */
export const urlSafe = (length: number): string =>
  String.raw`\b\w{2}[\w\-]{${length - 3}}\w\b|\b\w{2}[\w\-]{${length - 3}}-\B`;
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
