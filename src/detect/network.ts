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
    doc: 'IPv4 and IPv6 addresses.',
    examples: ['10.1.2.3', '2001:db8::8a2e:370:7334'],
    source: 'RFC 791, RFC 4291 section 2.2',
  },
];
