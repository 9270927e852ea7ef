/**
 * The one way in which identity/ asks others: bounded in time and bytes, no redirects, and an address that a name resolves to
 * is checked when the connection is made, so that a name cannot first be checked and then rebound (SSRF).
 */
import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { isSafeUrl } from './config/values.ts';

export interface HttpAsk {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds for all of it, body included. */
  readonly timeoutMs: number;
  /** Longest answer in bytes. */
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** First value of a header, lower case name. */
  header(name: string): string | undefined;
  readonly text: string;
}

/** Rejects with HttpProblem; an answer of any status resolves. A redirect is an answer: it is not followed. */
export type Http = (url: string, ask: HttpAsk) => Promise<HttpAnswer>;

/** `message` says what went wrong in our own words, and is safe to put on the record. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly code = 'http_problem';
}

/**
 * Special-purpose addresses (RFC 6890, RFC 4193, RFC 3927, RFC 6598): this machine, its networks, its cloud's metadata; and the
 * IPv6 forms that carry an IPv4 address (RFC 4291 §2.5.5, RFC 6052, RFC 3056, RFC 4380, RFC 2765), whatever they carry.
 */
const inside = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  inside.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 23],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  inside.addSubnet(network, prefix, 'ipv6');

/** Whether an address (not a name) is inside: BlockList also sees IPv4 in IPv6 (`::ffff:10.0.0.1`). */
export function isInside(address: string): boolean {
  const family = isIP(address);
  return family === 0 || inside.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

export interface HttpOptions {
  /** Hosts that the operator wrote down (`host` of the configured URLs, no port): they may be anywhere. */
  readonly trustedHosts: readonly string[];
  /** PEM of the CA to trust instead of the system's. */
  readonly ca?: string;
  /** Let hosts that others named be on inside addresses, too. */
  readonly allowPrivateAddresses?: boolean;
  /** How names are looked up, asked with `all: true`. Default: as the system does. */
  readonly lookup?: Lookup;
}

type Lookup = (
  host: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** @returns a client that keeps connections for a few seconds; nothing to close: idle ones do not keep the process. */
export function createHttp(options: HttpOptions): Http {
  const trusted = new Set(options.trustedHosts.map((host) => host.toLowerCase()));
  const isFree = (host: string) => options.allowPrivateAddresses === true || trusted.has(host.toLowerCase());
  const lookup: Lookup = options.lookup ?? systemLookup;
  const checkedLookup: LookupFunction = (host, lookupOptions, done) =>
    lookup(host, { ...lookupOptions, all: true }, (error, addresses) => {
      if (error !== null) return done(error, '');
      if (!isFree(host) && addresses.some(({ address }) => isInside(address)))
        return done(new HttpProblem('the name leads to an address of a private network'), '');
      const [first] = addresses;
      if (lookupOptions.all === true) return done(null, addresses);
      return first === undefined
        ? done(new HttpProblem('the name has no address'), '')
        : done(null, first.address, first.family);
    });
  const agent = new Agent({
    connect: { lookup: checkedLookup, timeout: 10_000, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    keepAliveTimeout: 4_000,
    maxOrigins: 64,
  });
  return async (url, ask) => {
    if (!isSafeUrl(url)) throw new HttpProblem('the address is not an https URL');
    const { hostname } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    // A literal address is not looked up.
    if (isIP(host) !== 0 && !isFree(hostname) && !isFree(host) && isInside(host))
      throw new HttpProblem('the address is of a private network');
    try {
      const answer = await request(url, {
        dispatcher: agent,
        method: ask.method ?? 'GET',
        headers: { accept: 'application/json', 'user-agent': 'sallyport', ...ask.headers },
        signal: AbortSignal.timeout(ask.timeoutMs),
        ...(ask.body === undefined ? {} : { body: ask.body }),
      });
      const text = await readText(answer.body, ask.maxBytes);
      return { status: answer.statusCode, text, header: (name) => first(answer.headers[name]) };
    } catch (error) {
      throw problemOf(error, ask);
    }
  };
}

const first = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

async function readText(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new HttpProblem(`the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function problemOf(error: unknown, ask: HttpAsk): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof Error && error.cause instanceof HttpProblem) return error.cause;
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError'))
    return new HttpProblem(`no answer within ${ask.timeoutMs} ms`, { cause: error });
  const code = (error as { code?: unknown }).code;
  return new HttpProblem(`it cannot be reached${typeof code === 'string' ? ` (${code})` : ''}`, { cause: error });
}
