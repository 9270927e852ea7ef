import type { Detector } from './detector.ts';
import { isPhoneNumber } from './validators.ts';

/** How people are reached. */
export const contact: readonly Detector[] = [
  {
    id: 'email_address',
    categories: ['pii'],
    // Local part as people have them (no quoted form); letters beyond Latin are not part of one: they would hold back
    // all of a Chinese text. No boundary at the end: `jane@example.com_old` is masked too.
    pattern: String.raw`\b[\w][\w.%+'\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,6}[A-Za-z]{2,24}`,
    doc: 'E-mail addresses.',
    examples: ['jane.doe@example.com', "o'brien+news@mail.example.co.uk"],
    source: 'RFC 5321 section 4.1.2, RFC 1035 section 2.3.4',
  },
  {
    id: 'phone_number',
    categories: ['pii'],
    pattern: [
      // International: +44 20 7946 0958, +49 (0)30 123456, +1-415-555-0132.
      String.raw`\B\+\d{1,3}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{1,14}\b`,
      String.raw`\B\+\d{1,3}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{1,5}(?:[ .\-\/]\d{2,8}){1,5}\b`,
      String.raw`\b00[1-9]\d{0,2}[ .\-](?:\(\d{1,4}\)[ .\-]?)?\d{1,5}(?:[ .\-\/]\d{2,8}){1,5}\b`,
      // North American: (415) 555-0132, 415-555-0132, 1 415 555 0132.
      String.raw`\((?:1[ .\-])?\d{3}\)[ .\-]?\d{3}[ .\-]\d{4}\b`,
      String.raw`\b1[ .\-]?\(\d{3}\)[ .\-]?\d{3}[ .\-]\d{4}\b`,
      String.raw`\b(?:1[ .\-])?\d{3}-\d{3}-\d{4}\b`,
      String.raw`\b(?:1[ .\-])?\d{3}\.\d{3}\.\d{4}\b`,
      String.raw`\b(?:1[ .\-])?\d{3} \d{3}[ \-]\d{4}\b`,
      // With a trunk prefix: 020 7946 0958, 030 123456, 030/123456, 01 23 45 67 89.
      String.raw`\b0[1-9]\d{1,3}[ \/]\d{3,4} \d{3,4}\b`,
      String.raw`\b0[1-9]\d{1,3}[ \/]\d{4,8}\b`,
      String.raw`\b0[1-9](?:[ .]\d{2}){4}\b`,
      String.raw`\(0[1-9]\d{0,3}\) ?\d{3,8}(?:[ \-]\d{3,4})?\b`,
    ].join('|'),
    validate: isPhoneNumber,
    doc: 'Telephone numbers: international with +, North American, and national ones written with a trunk prefix 0.',
    examples: ['+44 20 7946 0958', '(415) 555-0132', '415-555-0132', '030 1234567'],
    source: 'ITU-T E.164, E.123; NANPA numbering plan',
  },
];
