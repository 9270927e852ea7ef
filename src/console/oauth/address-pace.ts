import { Pace, type PaceLimit } from './pace.ts';

/** Addresses that are remembered; whoever was away longest is forgotten first. */
const maxAddresses = 10_000;

/** A pace for each client address, so that one stranger stops nobody else, and one for all of them together. */
export class AddressPace {
  readonly #each: PaceLimit;
  readonly #all: Pace;
  readonly #nowMs: () => number;
  readonly #byNetwork = new Map<string, Pace>();

  constructor(limits: { readonly each: PaceLimit; readonly all: PaceLimit }, nowMs: () => number) {
    this.#each = limits.each;
    this.#all = new Pace(limits.all, nowMs);
    this.#nowMs = nowMs;
  }

  /** Whether one more from there may begin now. What an address may not does not count for the others. */
  take(address: string): boolean {
    const network = networkOf(address);
    const pace = this.#byNetwork.get(network) ?? new Pace(this.#each, this.#nowMs);
    this.#byNetwork.delete(network);
    this.#byNetwork.set(network, pace);
    const [oldest] = this.#byNetwork.keys();
    if (this.#byNetwork.size > maxAddresses && oldest !== undefined) this.#byNetwork.delete(oldest);
    return pace.take() && this.#all.take();
  }
}

/** Who has one IPv6 address has 2^64 of them: the network counts (RFC 6177). */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const parts = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - parts.length - rest.length);
  return [...parts, ...Array<string>(zeros).fill('0'), ...rest].slice(0, 4).join(':');
}
