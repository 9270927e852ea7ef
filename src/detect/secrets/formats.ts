import type { Detector } from '../detector.ts';
import { gitleaks, opener } from './make.ts';

/** Tokens and keys in formats of no one issuer. */
export const formats: readonly Detector[] = [
  opener(
    'jwt',
    // Conclusive early where the header begins with a JOSE parameter (`{"alg":`, `{"typ":`, `{"kid":`, `{"enc":`,
    // `{"cty":`, `{"x5t`, `{"jku":`), otherwise at the second segment.
    [
      String.raw`\bey(?:JhbGciOi|J0eXAiOi|JraWQiOi|JlbmMiOi|JjdHkiOi|J4NXQi|Jqa3UiOi)[\w\-]{10}`,
      String.raw`\bey[A-Z][\w\-]{10,256}\.ey[A-Z][\w\-]{10}`,
    ].join('|'),
    { body: String.raw`[\w\-]`, joint: String.raw`\.` },
    'JSON Web Tokens (JWS and JWE, compact).',
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'],
    `RFC 7519 section 3, RFC 7515 section 7.1, RFC 7516 section 7.1; ${gitleaks}`,
  ),
  opener(
    'jwt_base64',
    // `eyJ`, encoded once more, and the first parameters as above.
    String.raw`\bZXlK(?:aGJHY2lPaU|MGVYQWlPaU|cmFXUWlP|bGJtTWlPaU|amRIa2lPaU|NE5YUWlPaU|cWEzVWlPaU|cGMzTWlPaU|emRXSWlPaU)[\w\-+\/]{40}`,
    { body: String.raw`[\w\-+\/=]` },
    'JSON Web Tokens, encoded in Base64 once more.',
    ['ZXlKaGJHY2lPaUpJVXpJMU5pSjkuZXlKemRXSWlPaUl4TWpNME5UWTNPRGt3SW4wLmRvempnTnJ5UDRKM2pWbU5IbDB3NU4'],
    gitleaks,
  ),
  opener(
    'private_key',
    // A header that something follows as in a key: a line break, written out or not, or Base64. In a sentence nothing does.
    [
      String.raw`-----BEGIN[ A-Z0-9]{0,40} PRIVATE KEY(?: BLOCK)?-----[ \t]{0,4}(?:[\r\n]|\\{1,4}[rn])`,
      String.raw`-----BEGIN[ A-Z0-9]{0,40} PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+\/]`,
      String.raw`-----BEGIN[ A-Z0-9]{0,40} PRIVATE KEY(?: BLOCK)?----- [A-Za-z0-9+\/]{16}`,
    ].join('|'),
    { until: `-----END[ A-Z0-9]{0,40} PRIVATE KEY(?: BLOCK)?-----` },
    'Private keys in PEM: everything from the BEGIN line to the END line, or to the end of the text.',
    ['-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----'],
    `RFC 7468 section 10; ${gitleaks}`,
  ),
];
