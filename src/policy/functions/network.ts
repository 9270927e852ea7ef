import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Comparable } from './equality.ts';
import { invalid } from './failure.ts';
import { type FunctionGroup, type Overload, pure, sources } from './row.ts';

/** An IPv4 or IPv6 address, as Kubernetes' CEL has it: no zone, no IPv4-mapped IPv6, no leading zeros. */
export class Ip implements Comparable {
  readonly family: 4 | 6;
  readonly bytes: readonly number[];

  constructor(bytes: readonly number[]) {
    this.bytes = bytes;
    this.family = bytes.length === 4 ? 4 : 6;
  }

  static parse(text: string): Ip | undefined {
    if (isIP(text) === 0 || text.includes('%')) return undefined;
    const address = ipaddr.parse(text);
    if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()) return undefined;
    return new Ip(address.toByteArray());
  }

  static read(text: string): Ip {
    const address = Ip.parse(text);
    if (address === undefined) throw invalid('not an IP address');
    return address;
  }

  /** The canonical form (RFC 5952). */
  toText(): string {
    const address = ipaddr.fromByteArray([...this.bytes]);
    return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
  }

  equals(other: unknown): boolean {
    return (
      other instanceof Ip && this.family === other.family && this.bytes.every((byte, i) => byte === other.bytes[i])
    );
  }

  /** The address with all bits behind the prefix cleared. */
  masked(prefix: number): Ip {
    return new Ip(this.bytes.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, prefix - i * 8)))));
  }
}

export class Cidr implements Comparable {
  readonly ip: Ip;
  readonly prefix: number;

  constructor(ip: Ip, prefix: number) {
    this.ip = ip;
    this.prefix = prefix;
  }

  static parse(text: string): Cidr | undefined {
    const [, address = '', digits = ''] = /^([0-9a-fA-F.:]{2,45})\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
    const ip = Ip.parse(address);
    const prefix = Number(digits);
    return ip === undefined || prefix > ip.bytes.length * 8 ? undefined : new Cidr(ip, prefix);
  }

  static read(text: string): Cidr {
    const cidr = Cidr.parse(text);
    if (cidr === undefined) throw invalid('not a CIDR');
    return cidr;
  }

  toText(): string {
    return `${this.ip.toText()}/${this.prefix}`;
  }

  equals(other: unknown): boolean {
    return other instanceof Cidr && this.prefix === other.prefix && this.ip.equals(other.ip);
  }

  containsIp(ip: Ip): boolean {
    return ip.family === this.ip.family && ip.masked(this.prefix).equals(this.ip.masked(this.prefix));
  }

  containsCidr(other: Cidr): boolean {
    return other.prefix >= this.prefix && this.containsIp(other.ip);
  }
}

const first = (ip: Ip, ...bytes: number[]) => bytes.every((byte, i) => ip.bytes[i] === byte);
const isUnspecified = (ip: Ip) => ip.bytes.every((byte) => byte === 0);
const isLoopback = (ip: Ip) =>
  ip.family === 4 ? first(ip, 127) : ip.bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
const isLinkLocalUnicast = (ip: Ip) =>
  ip.family === 4 ? first(ip, 169, 254) : first(ip, 0xfe) && (ip.bytes[1]! & 0xc0) === 0x80;
const isLinkLocalMulticast = (ip: Ip) =>
  ip.family === 4 ? first(ip, 224, 0, 0) : first(ip, 0xff) && (ip.bytes[1]! & 0x0f) === 0x02;
const isMulticast = (ip: Ip) => (ip.family === 4 ? (ip.bytes[0]! & 0xf0) === 0xe0 : first(ip, 0xff));
const isBroadcast = (ip: Ip) => ip.family === 4 && first(ip, 255, 255, 255, 255);
/** As Go's netip.Addr.IsGlobalUnicast: private addresses are. */
const isGlobalUnicast = (ip: Ip) =>
  !(isUnspecified(ip) || isLoopback(ip) || isMulticast(ip) || isLinkLocalUnicast(ip) || isBroadcast(ip));

const row = (name: string, doc: string, examples: readonly string[], overloads: readonly Overload[]) => ({
  name,
  doc,
  source: sources.kubernetes,
  examples,
  overloads,
});
const test = (name: string, doc: string, examples: readonly string[], run: (ip: Ip) => boolean) =>
  row(name, doc, examples, [pure(`IP.${name}(): bool`, run)]);

export const networkFunctions: FunctionGroup = {
  title: 'Network',
  intro:
    'Addresses as Kubernetes reads them: no zone, no leading zeros, and an IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is none.',
  types: { IP: { ctor: Ip, fields: {} }, CIDR: { ctor: Cidr, fields: {} } },
  operators: {
    'IP == IP': (a: Ip, b: Ip) => a.equals(b),
    'CIDR == CIDR': (a: Cidr, b: Cidr) => a.equals(b),
  },
  rows: [
    row(
      'ip',
      'an address; of a CIDR: the one it was written with',
      [
        'ip("10.0.0.1").family() == 4',
        'ip("::1") == ip("0:0:0:0:0:0:0:1")',
        'string(cidr("10.1.2.3/8").ip()) == "10.1.2.3"',
      ],
      [pure('ip(string): IP', (text: string) => Ip.read(text)), pure('CIDR.ip(): IP', (cidr: Cidr) => cidr.ip)],
    ),
    row(
      'isIP',
      'whether the text is an address',
      ['isIP("::1") && !isIP("10.0.0.256") && !isIP("::ffff:1.2.3.4")'],
      [pure('isIP(string): bool', (text: string) => Ip.parse(text) !== undefined)],
    ),
    row(
      'ip.isCanonical',
      'whether an address is written the shortest way (RFC 5952); text that is no address is an error',
      ['ip.isCanonical("2001:db8::1") && !ip.isCanonical("2001:DB8::1")'],
      [pure('ip.isCanonical(string): bool', (_: unknown, text: string) => Ip.read(text).toText() === text)],
    ),
    row('family', '4 or 6', ['ip("::1").family() == 6'], [pure('IP.family(): int', (ip: Ip) => BigInt(ip.family))]),
    test(
      'isLoopback',
      '`127.0.0.0/8`, `::1`',
      ['ip("127.8.0.1").isLoopback() && !ip("10.0.0.1").isLoopback()'],
      isLoopback,
    ),
    test('isUnspecified', '`0.0.0.0`, `::`', ['ip("::").isUnspecified()'], isUnspecified),
    test(
      'isLinkLocalUnicast',
      '`169.254.0.0/16`, `fe80::/10`',
      ['ip("169.254.169.254").isLinkLocalUnicast()'],
      isLinkLocalUnicast,
    ),
    test(
      'isLinkLocalMulticast',
      '`224.0.0.0/24`, `ff02::/16`',
      ['ip("224.0.0.1").isLinkLocalMulticast()'],
      isLinkLocalMulticast,
    ),
    test(
      'isGlobalUnicast',
      'none of these, no multicast, not the broadcast; private addresses are',
      ['ip("10.0.0.1").isGlobalUnicast() && !ip("ff02::1").isGlobalUnicast()'],
      isGlobalUnicast,
    ),
    row(
      'cidr',
      'a range of addresses',
      ['cidr("10.0.0.0/8").containsIP("10.1.2.3")'],
      [pure('cidr(string): CIDR', (text: string) => Cidr.read(text))],
    ),
    row(
      'isCIDR',
      'whether the text is a range',
      ['isCIDR("10.0.0.0/8") && !isCIDR("10.0.0.0/33") && !isCIDR("10.0.0.0")'],
      [pure('isCIDR(string): bool', (text: string) => Cidr.parse(text) !== undefined)],
    ),
    row(
      'containsIP',
      'whether the address is in the range; text that is no address is an error',
      ['cidr("10.0.0.0/8").containsIP(ip("10.0.0.1")) && !cidr("10.0.0.0/8").containsIP("11.0.0.1")'],
      [
        pure('CIDR.containsIP(IP): bool', (cidr: Cidr, ip: Ip) => cidr.containsIp(ip)),
        pure('CIDR.containsIP(string): bool', (cidr: Cidr, text: string) => cidr.containsIp(Ip.read(text))),
      ],
    ),
    row(
      'containsCIDR',
      'whether all of the other range is in it',
      ['cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && !cidr("10.1.0.0/16").containsCIDR(cidr("10.0.0.0/8"))'],
      [
        pure('CIDR.containsCIDR(CIDR): bool', (cidr: Cidr, other: Cidr) => cidr.containsCidr(other)),
        pure('CIDR.containsCIDR(string): bool', (cidr: Cidr, text: string) => cidr.containsCidr(Cidr.read(text))),
      ],
    ),
    row(
      'masked',
      'the range with the bits behind its prefix cleared',
      ['cidr("10.1.2.3/8").masked() == cidr("10.0.0.0/8")'],
      [pure('CIDR.masked(): CIDR', ({ ip, prefix }: Cidr) => new Cidr(ip.masked(prefix), prefix))],
    ),
    row(
      'prefixLength',
      'the bits of its prefix',
      ['cidr("10.0.0.0/8").prefixLength() == 8'],
      [pure('CIDR.prefixLength(): int', (cidr: Cidr) => BigInt(cidr.prefix))],
    ),
  ],
};
