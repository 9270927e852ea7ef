/**
 * Who an issued token speaks of: a member of the token, or, where that would make the token too large for a header, a
 * document in the control state that is named by its hash.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { RecentlyUsed } from '../cache.ts';
import type { Caller } from '../caller.ts';
import type { IdentityState } from '../state.ts';

/** Larger identities (250 groups of Entra ID, say) go into the state: many servers take 8 KiB of headers. */
export const maxEmbeddedLength = 4096;
const hourMs = 3_600_000;
const cachedIdentities = 256;
const prefix = 'issued/identity/';

const identity = z.strictObject({
  v: z.literal(1),
  provider: z.string().min(1),
  issuer: z.string().min(1),
  subject: z.string().min(1),
  kind: z.enum(['person', 'service', 'peer']),
  email: z.string().optional(),
  groups: z.array(z.string()),
  claims: z.custom<Caller['claims']>((value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
  issuedAtMs: z.number().min(0),
  /** What was exchanged. */
  proof: z.enum(['token', 'saml']),
});
const reference = z.strictObject({ v: z.literal(1), ref: z.string().regex(/^[A-Za-z0-9_-]{43}\/\d{1,15}$/) });

type Read = z.output<typeof identity>;
export type Identity = Readonly<Omit<Read, 'groups' | 'claims'>> & Pick<Caller, 'groups' | 'claims'>;

export function identityOf(caller: Caller): Identity {
  const { provider, issuer, subject, kind, email, groups, claims, issuedAtMs, proof } = caller;
  if (proof !== 'token' && proof !== 'saml') throw new TypeError(`a token cannot be issued for the proof ${proof}`);
  const said = { v: 1, provider, issuer, subject, kind, groups, claims, issuedAtMs, proof } as const;
  return email === undefined ? said : { ...said, email };
}

/** Keeps and finds identities. Rejects as the state does. */
export class Identities {
  readonly #state: IdentityState;
  readonly #read = new RecentlyUsed<Identity>(cachedIdentities);

  constructor(state: IdentityState) {
    this.#state = state;
  }

  /** Stores what a token that expires then refers to; returns the token's member. */
  async store(who: Identity, expiresAtMs: number): Promise<object> {
    // To the hour, so that tokens of one identity share a document that outlives them all.
    const keptUntilMs = Math.ceil(expiresAtMs / hourMs) * hourMs;
    const text = JSON.stringify(who);
    const ref = `${hash('sha256', text, 'base64url')}/${keptUntilMs}`;
    await this.#state.putIfAbsent(`${prefix}${ref}`, text, { expiresAtMs: keptUntilMs });
    return { v: 1, ref };
  }

  /** What a token's member says; undefined: nothing that we wrote. */
  async resolve(member: unknown): Promise<Identity | undefined> {
    const embedded = identity.safeParse(member);
    if (embedded.success) return embedded.data;
    const referring = reference.safeParse(member);
    if (!referring.success) return undefined;
    const { ref } = referring.data;
    const known = this.#read.get(ref);
    if (known !== undefined) return known;
    const document = await this.#state.get(`${prefix}${ref}`);
    if (document === undefined || hash('sha256', document.value, 'base64url') !== ref.slice(0, 43)) return undefined;
    const stored = identity.safeParse(JSON.parse(document.value));
    if (!stored.success) return undefined;
    this.#read.set(ref, stored.data);
    return stored.data;
  }
}
