import type { RefusedCredentialEvent, RefusedEvent } from './events.ts';

/** What may come as a flood. */
export type Refusal = RefusedEvent | RefusedCredentialEvent;

export interface FloodOptions {
  /** Refusals recorded one by one for each (code, client address), per second; as many may come at once. */
  readonly perSecond: number;
  /** How long refusals beyond the rate are counted together before they are recorded as one, in milliseconds. */
  readonly windowMs: number;
  /** Addresses that are told apart; beyond it all others count as one. */
  readonly maxAddresses: number;
}

interface Bucket {
  tokens: number;
  refilledAt: number;
  counted: number;
  sample: Refusal | undefined;
}

/**
 * Keeps a flood of refusals from filling the journal. `admit` says whether a refusal is recorded by itself; if not, it
 * has been counted and `drain` will give it, together with its like, as one event with a `count`.
 */
export class Flood {
  readonly #options: FloodOptions;
  readonly #buckets = new Map<string, Bucket>();
  #counted = 0;

  constructor(options: FloodOptions) {
    this.#options = options;
  }

  /** Refusals counted together since the last `drain`. */
  get counted(): number {
    return this.#counted;
  }

  /** `overShare`: refusals have used up their share of the journal; then they are told apart by code only. */
  admit(event: Refusal, overShare: boolean): boolean {
    if (overShare) {
      this.count(event);
      return false;
    }
    const key = `${kindOf(event)} ${network(addressOf(event))}`;
    const known = this.#buckets.has(key) || this.#buckets.size < this.#options.maxAddresses;
    const bucket = this.#bucket(known ? key : `${kindOf(event)} *`, event.at, this.#options.perSecond);
    const sinceMs = Math.max(0, event.at - bucket.refilledAt);
    bucket.tokens = Math.min(this.#options.perSecond, bucket.tokens + (sinceMs / 1000) * this.#options.perSecond);
    bucket.refilledAt = event.at;
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return true;
    }
    this.#add(bucket, event);
    return false;
  }

  /** Counts a refusal that could not be recorded, by its code. */
  count(event: Refusal): void {
    this.#add(this.#bucket(`${kindOf(event)} *`, event.at, 0), event);
  }

  /** What was counted together, one event for each (code, address); quiet addresses are forgotten. */
  drain(now: number): Refusal[] {
    const events: Refusal[] = [];
    for (const [key, bucket] of this.#buckets) {
      if (bucket.sample !== undefined) {
        const address = key.endsWith(' *') ? '*' : addressOf(bucket.sample);
        events.push({ ...withAddress(bucket.sample, address), at: now, count: bucket.counted });
        bucket.sample = undefined;
        bucket.counted = 0;
      } else if (now - bucket.refilledAt >= 1000) this.#buckets.delete(key);
    }
    this.#counted = 0;
    return events;
  }

  #bucket(key: string, now: number, tokens: number): Bucket {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens, refilledAt: now, counted: 0, sample: undefined };
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  #add(bucket: Bucket, event: Refusal): void {
    bucket.sample ??= event;
    bucket.counted += event.count;
    this.#counted += event.count;
  }
}

const kindOf = ({ type, code }: Refusal): string => `${type} ${code}`;

/** Where a refusal came from. */
export const addressOf = (event: Refusal): string =>
  event.type === 'refused' ? event.http.clientAddress : event.clientAddress;

const withAddress = (event: Refusal, clientAddress: string): Refusal =>
  event.type === 'refused' ? { ...event, http: { ...event.http, clientAddress } } : { ...event, clientAddress };

/** One customer has a whole IPv6 /64: addresses in it are one. */
function network(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
