import type { Detector } from '../detector.ts';
import { gitleaks, hashWords, token } from './make.ts';
import { isAny, isRandom } from './values.ts';

const edges = ['[A-Za-z0-9]', String.raw`[+\/]`] as const;
const [word, sign] = edges;

/** Credentials of AWS. Amazon's own example keys are found as well. */
export const aws: readonly Detector[] = [
  token(
    'aws_access_token',
    String.raw`\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b`,
    'AWS access key ids.',
    ['AKIAIOSFODNN7EXAMPLE'],
    `AWS IAM user guide, "IAM identifiers"; ${gitleaks}`,
    { validate: isAny },
  ),
  {
    id: 'aws_secret_key',
    categories: ['secrets'],
    // `YC` is Yandex's, which has the same shape. Forty characters of Base64 alone could be anything. They may begin and end in a sign, which is no word's edge.
    pattern: [
      String.raw`\b${word}[A-Za-z0-9+\/]{38}${word}\b`,
      String.raw`\b${word}[A-Za-z0-9+\/]{38}${sign}\B`,
      String.raw`\B${sign}[A-Za-z0-9+\/]{38}${word}\b`,
    ].join('|'),
    validate: (candidate) => candidate.includes('EXAMPLE') || (!candidate.startsWith('YC') && isRandom(candidate)),
    context: { words: ['aws', 'secret access key', 'secret key', 'aws secret'], within: 60 },
    unless: hashWords,
    doc: 'AWS secret access keys, where they are called by name.',
    examples: ['wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    source: 'AWS IAM user guide, "Manage access keys"',
  },
];
