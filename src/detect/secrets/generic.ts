import type { Detector } from '../detector.ts';
import { gitleaks, hashWords } from './make.ts';
import {
  hasNoDigit,
  isEncodedText,
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
// Begins like a word, and ends where one does or in what fills up Base64: `a.1.a.1.…` has next to no candidates.
const value = String.raw`\b\w{6}[\w.+\/\-]{3,119}\w\b|\b\w{6}[\w.+\/\-]{3,119}\w={1,2}\B`;
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
    doc: 'Credentials in the headers of a request, as `curl -H` has them.',
    examples: ['8sKd02LmQpXz71VbNc3T'],
    source: `RFC 9110 section 11.6.2; ${gitleaks}`,
  },
  {
    id: 'curl_auth_user',
    categories: ['secrets'],
    pattern: [
      String.raw`\b[\w.@]{1,32}:[\w!@#$%^&*+=~.\-]{2,32}\w\b`,
      String.raw`\b[\w.@]{1,32}:[\w!@#$%^&*+=~.\-]{2,32}[!@#$%^&*+=~]\B`,
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
    pattern: String.raw`\b[A-Za-z0-9]{6}[A-Za-z0-9+\/]{4,250}\w\b|\b[A-Za-z0-9]{6}[A-Za-z0-9+\/]{4,250}\w={1,2}\B`,
    validate: isEncodedText,
    context: { words: ['kind secret'], within: 120 },
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
        pattern: String.raw`\b\w[\w!@#$%^&*+=~]{6,30}\w\b|\b\w[\w!@#$%^&*+=~]{6,30}[!@#$%^&*+=~]\B`,
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
