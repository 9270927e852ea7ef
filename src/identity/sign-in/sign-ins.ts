/**
 * Sign-ins by SAML on their way, between `sallyport login` on somebody's machine and the token that it gets: the OAuth code
 * flow (RFC 6749 §4.1) with PKCE (RFC 7636) around a SAML one. Kept in the control state, each step for minutes and once:
 *
 *   begin      a handle (SAML's RelayState) and a secret for the browser that begins it
 *   arrive     the IdP's answer, with the handle: a ticket
 *   present    the ticket, with that browser's secret (else somebody could sign others in as himself): who signs in, to be asked
 *   proceed    both again, with the seal of that page, once the person has said yes: a code
 *   redeem     the code, with the PKCE verifier: who signed in
 */
import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Caller, Identification, IdentityRefusal } from '../caller.ts';
import type { SamlProvider, SamlUnavailable } from '../saml/saml.ts';
import type { IdentityState } from '../state.ts';

const pendingMs = 600_000;
/** People compare a code meanwhile. */
const ticketMs = 300_000;
const codeMs = 60_000;
/** A code that comes again after that cannot take back what it gave: it has expired. */
const usedMs = 3_700_000;

/** What the client asked for at the authorization endpoint. */
const asked = z.strictObject({
  clientId: z.string(),
  redirectUri: z.string(),
  codeChallenge: z.string(),
  state: z.string(),
});
export type Asked = Readonly<z.output<typeof asked>>;

const pending = z.strictObject({ provider: z.string(), requestId: z.string(), browser: z.string(), asked });
const caller = z.strictObject({
  provider: z.string(),
  issuer: z.string(),
  subject: z.string(),
  kind: z.enum(['person', 'service', 'peer']),
  email: z.string().optional(),
  groups: z.array(z.string()),
  team: z.string().optional(),
  claims: z.record(z.string(), z.unknown()),
  proof: z.literal('saml'),
  tokenId: z.string().optional(),
  issuedAtMs: z.number(),
  expiresAtMs: z.number(),
});
const ticket = z.strictObject({ browser: z.string(), asked, caller });
const code = z.strictObject({ asked, caller });
const used = z.strictObject({
  asked,
  provider: z.string(),
  subject: z.string(),
  tokenId: z.string(),
  expiresAtMs: z.number(),
});

export type Begun =
  | { readonly ok: true; readonly url: string; readonly handle: string; readonly browserSecret: string }
  | SamlUnavailable;

export type Arrived =
  | { readonly ok: true; readonly ticket: string }
  /** There is no such sign-in: it has expired, was answered, or was begun elsewhere. */
  | { readonly ok: false; readonly reason: 'sign_in_unknown' }
  | IdentityRefusal;

type Strange = { readonly ok: false; readonly reason: 'sign_in_unknown' | 'other_browser' };

export type Presented =
  | {
      readonly ok: true;
      readonly caller: Caller;
      readonly asked: Asked;
      /** For `proceed`: only a page of this gateway, for this ticket in this browser, has it. */
      readonly seal: string;
    }
  | Strange;

export type Proceeded =
  /** `browserSecret`: the one that was used, of no use any more. */
  { readonly ok: true; readonly code: string; readonly asked: Asked; readonly browserSecret: string } | Strange;

export interface Redemption {
  readonly code: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeVerifier: string;
}

export type Redeemed =
  | {
      readonly ok: true;
      readonly caller: Caller;
      /** Says what the code gave; false: somebody else was first. Before that the token must not be given out. */
      claim(tokenId: string, expiresAtMs: number): Promise<boolean>;
    }
  /** `gave`: what the code gave when it was used before. It must be taken back (RFC 6749 §4.1.2). */
  | { readonly ok: false; readonly detail: string; readonly gave?: Given };

export interface Given {
  readonly provider: string;
  readonly subject: string;
  readonly tokenId: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
  /** To be called once it is taken back: the code is unknown from then on. False: somebody else was first. */
  forget(): Promise<boolean>;
}

/** All methods reject as the state does. */
export class SignIns {
  readonly #state: IdentityState;
  readonly #now: () => number;

  constructor(state: IdentityState, now: () => number) {
    this.#state = state;
    this.#now = now;
  }

  async begin(provider: SamlProvider, request: Asked): Promise<Begun> {
    const handle = newSecret();
    const browserSecret = newSecret();
    const begun = await provider.begin(handle);
    if ('ok' in begun) return begun;
    const { requestId, url } = begun;
    const value = { provider: provider.name, requestId, browser: digest(browserSecret), asked: request };
    await this.#put('pending', handle, value, pendingMs);
    return { ok: true, url, handle, browserSecret };
  }

  async arrive(provider: SamlProvider, handle: string, samlResponse: string): Promise<Arrived> {
    const found = await this.#take('pending', handle, pending);
    if (found?.provider !== provider.name) return { ok: false, reason: 'sign_in_unknown' };
    const identified: Identification = await provider.finish(samlResponse, found.requestId);
    if (!identified.ok) return identified;
    const next = newSecret();
    await this.#put(
      'ticket',
      next,
      { browser: found.browser, asked: found.asked, caller: identified.caller },
      ticketMs,
    );
    return { ok: true, ticket: next };
  }

  /** May be asked again, by the browser that began; a ticket that another one has is used up. */
  async present(sent: string, browserSecrets: readonly string[]): Promise<Presented> {
    const kept = await this.#state.get(keyOf('ticket', sent));
    if (kept === undefined) return { ok: false, reason: 'sign_in_unknown' };
    const found = ticket.parse(JSON.parse(kept.value));
    const secret = secretOf(found.browser, browserSecrets);
    if (secret !== undefined)
      return { ok: true, caller: revive(found.caller), asked: found.asked, seal: sealOf(secret, sent) };
    await this.#state.remove(keyOf('ticket', sent), kept.version);
    return { ok: false, reason: 'other_browser' };
  }

  /** A ticket is good for one try, as everything from here on. */
  async proceed(sent: string, browserSecrets: readonly string[], seal: string): Promise<Proceeded> {
    const found = await this.#take('ticket', sent, ticket);
    if (found === undefined) return { ok: false, reason: 'sign_in_unknown' };
    const browserSecret = secretOf(found.browser, browserSecrets);
    if (browserSecret === undefined || !isSame(sealOf(browserSecret, sent), seal))
      return { ok: false, reason: 'other_browser' };
    const made = newSecret();
    await this.#put('code', made, { asked: found.asked, caller: found.caller }, codeMs);
    return { ok: true, code: made, asked: found.asked, browserSecret };
  }

  /** A code is good for one try: one that fails uses it up. */
  async redeem(redemption: Redemption): Promise<Redeemed> {
    const key = keyOf('used', redemption.code);
    const before = await this.#state.get(key);
    if (before !== undefined) return this.#usedBefore(key, before, redemption);
    const found = await this.#take('code', redemption.code, code);
    if (found === undefined) return { ok: false, detail: 'the code is not known, or has expired' };
    const problem = problemOf(found.asked, redemption);
    if (problem !== undefined) return { ok: false, detail: problem };
    const { provider, subject } = found.caller;
    return {
      ok: true,
      caller: revive(found.caller),
      claim: (tokenId, expiresAtMs) => {
        const gave: z.output<typeof used> = { asked: found.asked, provider, subject, tokenId, expiresAtMs };
        return this.#state.putIfAbsent(key, JSON.stringify(gave), { expiresAtMs: this.#now() + usedMs });
      },
    };
  }

  /** Who knows the code alone, from a log or a history, takes nothing back; nor does a third use. */
  #usedBefore(
    key: string,
    before: { readonly value: string; readonly version: number },
    redemption: Redemption,
  ): Redeemed {
    const { asked: first, ...gave } = used.parse(JSON.parse(before.value));
    const problem = problemOf(first, redemption);
    if (problem !== undefined) return { ok: false, detail: `the code was used before; ${problem}` };
    return {
      ok: false,
      detail: 'the code was used before',
      gave: { ...gave, forget: () => this.#state.remove(key, before.version) },
    };
  }

  async #put(kind: Kind, secret: string, value: object, ms: number): Promise<void> {
    await this.#state.putIfAbsent(keyOf(kind, secret), JSON.stringify(value), { expiresAtMs: this.#now() + ms });
  }

  /** Exactly one of many at once gets it. */
  async #take<T>(kind: Kind, secret: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const key = keyOf(kind, secret);
    const found = await this.#state.get(key);
    if (found === undefined || !(await this.#state.remove(key, found.version))) return undefined;
    return schema.parse(JSON.parse(found.value));
  }
}

type Kind = 'pending' | 'ticket' | 'code' | 'used';

/** 256 random bits, 43 characters: RelayState may have 80 (SAML bindings §3.4.3). */
const newSecret = (): string => randomBytes(32).toString('base64url');
/** Secrets are kept by hash; of a PKCE verifier it is its S256 challenge (RFC 7636 §4.2). */
const digest = (secret: string): string => hash('sha256', secret, 'base64url');
const keyOf = (kind: Kind, secret: string): string => `sign-in/${kind}/${digest(secret)}`;

const secretOf = (browser: string, secrets: readonly string[]): string | undefined =>
  secrets.find((secret) => isSame(digest(secret), browser));
/** The cookie's secret itself never leaves the cookie. */
const sealOf = (browserSecret: string, sent: string): string =>
  createHmac('sha256', browserSecret).update(`continue\n${sent}`).digest('base64url');

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Why whoever sends the code is not the client that asked for it. */
function problemOf(first: Asked, { clientId, redirectUri, codeVerifier }: Redemption): string | undefined {
  if (first.clientId !== clientId) return 'the code is for another client';
  if (first.redirectUri !== redirectUri) return 'redirect_uri is not the one of before';
  return isSame(digest(codeVerifier), first.codeChallenge) ? undefined : 'code_verifier does not fit';
}

/** JSON leaves out what is undefined. */
function revive(read: z.output<typeof caller>): Caller {
  const { email, team, tokenId } = read;
  return Object.freeze({ ...read, email, team, tokenId });
}
