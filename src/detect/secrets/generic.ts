import type { Detector } from '../detector.ts';
import { gitleaks, hashWords, password } from './make.ts';
import {
  hasNoDigit,
  isEncoded,
  isEncodedUserAndPassword,
  isNoUnnamedSecret,
  isPassword,
  isUnnamedSecret,
  isUserAndPassword,
  isVariedWithDigit,
} from './values.ts';

/** Names of what is secret, whoever has given it out. */
const names = [
  ...['api key', 'apikey', 'access key', 'auth key', 'secret key', 'private key', 'encryption key', 'signing key'],
  ...['master key', 'app key', 'application key', 'account key', 'service key', 'license key', 'client key'],
  ...['admin key', 'webhook key', 'deploy key', 'session key', 'shared key', 'storage key', 'hmac key', 'aes key'],
  ...[
    'subscription key',
    'secret key base',
    'secret',
    'secrets',
    'client secret',
    'token',
    'password',
    'passwd',
    'passwort',
  ],
  ...['passphrase', 'pwd', 'passcode', 'credential', 'creds', 'auth', 'authorization', 'bearer'],
];
const passwords = ['password', 'passwd', 'passphrase', 'pwd', 'passwort', 'contrasena', 'mot de passe'];
// A short one has its digit in its pattern, and 16 characters are more than most words have: words are no candidates. Signs do
// not follow one another at first: `a.1.a.1.…` has next to none either. Ends where a word does, or in what fills up Base64.
const value = [
  String.raw`\b[A-Za-z_]{0,2}\d(?:\w|[+\/\-]\w{3})[\w.+\/\-]{5,12}`,
  String.raw`\b[A-Za-z_]{3,5}\d(?:\w|[+\/\-]\w{3})[\w.+\/\-]{2,9}`,
  String.raw`\b[A-Za-z_]{6,13}\d[\w.+\/\-]{0,7}`,
  // Ten characters each, so that what follows is counted once.
  `\\b(?:${[
    String.raw`\w{6}[\w.+\/\-]{4}`,
    ...[1, 2, 3, 4, 5].map((words) => String.raw`\w{${words}}[+\/\-]\w{4}[\w.+\/\-]{${5 - words}}`),
  ].join('|')})[\\w.+\\/\\-]{5,109}`,
]
  .flatMap((most) => [String.raw`${most}\w\b`, String.raw`${most}\w={1,2}\B`])
  .concat(String.raw`\b[A-Za-z_]{9,13}\d\b`)
  .join('|');
/** Base64 that is no plain word: a short one has a capital, a digit or a sign as no word has it. */
const encoded = [
  `\\b[A-Za-z0-9](?:${[0, 1, 2, 3]
    .map((small) => String.raw`[a-z]{${small}}[A-Z0-9+\/][A-Za-z0-9+\/]{${5 - small}}`)
    .join('|')})[A-Za-z0-9+\\/]{0,8}`,
  String.raw`\b[A-Za-z0-9][A-Za-z0-9+\/]{14,249}`,
  String.raw`\B[+\/]\w{3}[A-Za-z0-9+\/]{7,246}`,
]
  .flatMap((most) => [String.raw`${most}\w\b`, String.raw`${most}[+\/]\B`, String.raw`${most}[A-Za-z0-9+\/]={1,2}\B`])
  .join('|');
/** What is named nearer than the secret: `token_type`, `password_file`, `secret name`. */
const otherWords = {
  words: [
    ...hashWords.words,
    ...[
      'name',
      'type',
      'url',
      'uri',
      'endpoint',
      'file',
      'path',
      'version',
      'count',
      'length',
      'size',
      'limit',
      'expires',
    ],
    ...['expiry', 'expiration', 'issuer', 'audience', 'scope', 'arn', 'ref', 'href', 'src', 'class', 'import', 'from'],
    ...['require', 'issued', 'created', 'updated', 'date', 'public key', 'public', 'host', 'user', 'username', 'email'],
    ...['region', 'resolved', 'tokenizer', 'alias', 'label', 'model', 'csrf token', 'csrf'],
  ],
  within: 40,
};

/** Secrets by where they stand, not by what they look like: whatever else matches the same characters wins. */
export const generic: readonly Detector[] = [
  {
    id: 'curl_auth_header',
    categories: ['secrets'],
    pattern: value,
    refuses: hasNoDigit,
    validate: isVariedWithDigit,
    context: {
      words: [
        ...['authorization bearer', 'authorization basic', 'authorization token', 'authorization apikey'],
        ...['authorization api token', 'x api key', 'x api token', 'x auth token', 'x access token', 'h api key'],
      ],
      within: 3,
    },
    weak: true,
    also: [
      {
        pattern: encoded,
        validate: isEncodedUserAndPassword,
        context: { words: ['authorization basic', 'proxy authorization basic'], within: 3 },
        weak: true,
      },
    ],
    doc: 'Credentials in the headers of a request, as `curl -H` has them.',
    examples: ['8sKd02LmQpXz71VbNc3T'],
    source: `RFC 9110 section 11.6.2; ${gitleaks}`,
  },
  {
    id: 'curl_auth_user',
    categories: ['secrets'],
    pattern: [
      String.raw`\b\w[\w.@\-]{0,31}:[\w!@#$%^&*+=~.\-]{2,32}\w\b`,
      String.raw`\b\w[\w.@\-]{0,31}:[\w!@#$%^&*+=~.\-]{2,32}[!@#$%^&*+=~]\B`,
    ].join('|'),
    validate: isUserAndPassword,
    context: { words: ['u', 'user', 'proxy user'], within: 3 },
    weak: true,
    doc: 'User and password of a request, as `curl -u` has them.',
    examples: ['deploy:Wq82mZt0pL'],
    source: `curl manual, "--user"; ${gitleaks}`,
  },
  {
    id: 'kubernetes_secret_yaml',
    categories: ['secrets'],
    pattern: encoded,
    validate: isEncoded,
    context: { words: ['kind secret', 'type opaque'], within: 120 },
    doc: 'Values in the manifest of a Kubernetes secret.',
    examples: ['UzNjcjN0IXBhc3N3b3Jk'],
    source: `Kubernetes docs, "Secrets"; ${gitleaks}`,
  },
  {
    id: 'generic_api_key',
    categories: ['secrets'],
    pattern: value,
    refuses: isNoUnnamedSecret,
    validate: isUnnamedSecret,
    context: { words: names, within: 30 },
    unless: otherWords,
    weak: true,
    also: [
      {
        pattern: password('!@#$%^&*+=~'),
        refuses: hasNoDigit,
        validate: (candidate) => /[!@#$%^&*]/.test(candidate.slice(1, -1)) && isPassword(candidate),
        context: { words: passwords, within: 6 },
        weak: true,
      },
    ],
    doc: 'Random values that are called a key, a token, a secret or a password.',
    examples: ['Zk29xQm47TtLw83RbN5v'],
    source: gitleaks,
  },
];
