import { isIP } from 'node:net';
import type { Detector } from './detector.ts';

const octet = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;
const v4 = String.raw`(?:${octet}\.){3}${octet}`;
const group = '[0-9a-f]{1,4}';

/**
 * An IPv6 address that means a machine: eight groups, or `::` in an address of at least three groups or one with a
 * decimal digit (`a::b` is a name in C++ too).
 */
function isAddress(candidate: string): boolean {
  if (isIP(candidate) === 0) return false;
  if (!candidate.includes('::')) return true;
  const groups = candidate.split(':').filter((part) => part !== '');
  return groups.length >= 2 && (groups.length >= 3 || /\d/.test(candidate));
}

const octets = '[0-9a-f]{2}';

/** No machine's: all zeros, all ones. */
const isBroadcast = (candidate: string): boolean => /^(?:0+|f+)$/i.test(candidate.replace(/[:.-]/g, ''));

/** A MAC address of somebody's; with dashes or dots (dates and decimals have those as well), one with a letter in it. */
const isMac = (candidate: string): boolean =>
  !isBroadcast(candidate) && (candidate.includes(':') || /[a-f]/i.test(candidate));

/** Where machines are. */
export const network: readonly Detector[] = [
  {
    id: 'ip_address',
    categories: ['network', 'pii'],
    pattern: [
      String.raw`\b${v4}\b`,
      String.raw`\b${group}(?::${group}){7}\b`,
      String.raw`\b(?:${group}:){1,7}(?::${group}){1,6}\b`,
      String.raw`\b(?:${group}:){2,7}:`,
      String.raw`\B::(?:${group}:){1,6}${group}\b`,
      String.raw`\B::(?:ffff:)?${v4}\b`,
      String.raw`\b(?:${group}:){1,6}(?::ffff)?:${v4}\b`,
    ].join('|'),
    ignoreCase: true,
    // Object identifiers, long version numbers, and browsers in a User-Agent.
    decoys: [
      String.raw`\b\d{1,9}(?:\.\d{1,9}){4,19}\b`,
      String.raw`\b(?:Headless)?(?:Chrome|Chromium|CriOS|Edg|EdgA|OPR|Firefox|Safari|Version)\/${v4}\b`,
    ],
    validate: isAddress,
    // `version 1.2.3.4`, `section 1.2.3.4`: the word stands right before it.
    unless: {
      words: [
        'version',
        'versions',
        'ver',
        'v',
        'release',
        'firmware',
        'build',
        'section',
        'chapter',
        'clause',
        'figure',
        'table',
        'article',
        'appendix',
        'paragraph',
        'rev',
      ],
      within: 4,
    },
    doc: 'IPv4 and IPv6 addresses.',
    examples: ['10.1.2.3', '2001:db8::8a2e:370:7334'],
    source: 'RFC 791, RFC 4291 section 2.2',
  },
  {
    id: 'mac_address',
    categories: ['network', 'pii'],
    pattern: [
      String.raw`\b${octets}(?::${octets}){5}\b`,
      String.raw`\b${octets}(?:-${octets}){5}\b`,
      String.raw`\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b`,
    ].join('|'),
    ignoreCase: true,
    // Fingerprints of keys and certificates, and other dumps.
    decoys: [
      String.raw`\b${octets}(?::${octets}){6,40}\b`,
      String.raw`\b${octets}(?:-${octets}){6,40}\b`,
      String.raw`\b[0-9a-f]{4}(?:\.[0-9a-f]{4}){3,20}\b`,
    ],
    validate: isMac,
    also: [
      {
        pattern: [
          String.raw`\b${octets}(?:[:\-]?${octets}){5}\b`,
          String.raw`\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b`,
        ].join('|'),
        ignoreCase: true,
        validate: (candidate) => !isBroadcast(candidate),
        context: {
          words: [
            'mac',
            'mac address',
            'mac addr',
            'hwaddr',
            'h waddr',
            'hw addr',
            'hardware address',
            'physical address',
            'ethernet',
            'ether',
            'bssid',
            'lladdr',
          ],
          within: 40,
        },
      },
    ],
    doc: 'MAC addresses, with colons, dashes or dots; of digits only, or without separators, after words that say so.',
    examples: ['00:1b:44:11:3a:b7', '00-1B-44-11-3A-B7', '001b.4411.3ab7'],
    source: 'IEEE 802, section 8.1',
  },
];
