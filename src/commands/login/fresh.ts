import { ResponseBodyError } from 'openid-client';
import { CliError, exitCodes } from '../cli.ts';
import { shellWord } from '../text.ts';
import type { Credentials, Entry, Write } from './credentials.ts';
import { exchange, readGateway } from './gateway.ts';
import { connectSource, refresh } from './provider.ts';

export interface FreshOptions {
  readonly credentials: Credentials;
  /** URL of the gateway. */
  readonly gateway: string;
  /** A token that is good for less than this is renewed. */
  readonly minValidityMs: number;
  /** A token that the gateway has refused: it is renewed, whatever its expiry says. */
  readonly refused?: string;
  /** Where nobody answers who could renew it, a token that is good for this long will do. Default: none will. */
  readonly orValidMs?: number;
}

/**
 * A token of the gateway that is good for a while: the one that is kept, or a renewed one. Of many processes that ask at once
 * one renews and the others take what it got: a provider that rotates refresh tokens would take a second use for theft, and
 * sign the user out. Throws CliError; where the sign-in has ended, with `sallyport login` as its remedy.
 */
export async function freshToken(options: FreshOptions): Promise<Entry> {
  const askedAtMs = Date.now();
  const kept = entryOf(options);
  if (isFresh(kept, options)) return kept;
  return options.credentials.exclusively(async (write) => {
    const entry = entryOf(options);
    // Whatever was got since we asked is as fresh as it gets.
    const isNew = entry.obtainedAtMs >= askedAtMs && isFresh(entry, { ...options, minValidityMs: 1_000 });
    if (isNew || isFresh(entry, options)) return entry;
    return renew(entry, options, write).catch((error: unknown) => {
      const { orValidMs = Number.POSITIVE_INFINITY } = options;
      const isDown = error instanceof CliError && error.exitCode === exitCodes.unreachable;
      if (isDown && isFresh(entry, { ...options, minValidityMs: orValidMs })) return entry;
      throw error;
    });
  });
}

function entryOf({ credentials, gateway }: FreshOptions): Entry {
  const entry = credentials.read().gateways[gateway];
  if (entry !== undefined) return entry;
  throw new CliError(
    exitCodes.failed,
    `You are not signed in to ${gateway}.`,
    `Run \`sallyport login --gateway ${shellWord(gateway)}\`.`,
  );
}

/** A clock that went back makes a token look newer than now; its expiry then says nothing. */
function isFresh(entry: Entry, { minValidityMs, refused }: FreshOptions): boolean {
  const nowMs = Date.now();
  return entry.token !== refused && entry.expiresAtMs - nowMs >= minValidityMs && entry.obtainedAtMs <= nowMs;
}

async function renew(entry: Entry, { gateway: url }: FreshOptions, write: Write): Promise<Entry> {
  const { refreshToken } = entry;
  if (refreshToken === undefined) throw signedOut(url, 'the provider gave nothing to renew it with');
  const gateway = await readGateway(url);
  const login = gateway.providers.find(({ name }) => name === entry.provider);
  if (login === undefined) throw signedOut(url, `the gateway has no provider ${entry.provider} any more`);
  const provider = await connectSource(login, entry);
  const tokens = await refresh(provider, refreshToken).catch((error: unknown) => {
    throw isRefused(error) ? signedOut(url, `${provider.name} renews it no more`, error) : error;
  });
  // Kept before anything else can fail: the old one may be dead from now on.
  const renewable = { ...entry, refreshToken: tokens.refreshToken ?? refreshToken };
  write.save(url, renewable);
  const renewed = { ...renewable, ...(await exchange(gateway, tokens.subject)) };
  write.save(url, renewed);
  return renewed;
}

/** RFC 6749, section 5.2: the refresh token has expired, was taken back, or was used before. */
const isRefused = (error: unknown) =>
  error instanceof CliError && error.cause instanceof ResponseBodyError && error.cause.error === 'invalid_grant';

const signedOut = (gateway: string, why: string, cause?: unknown) =>
  new CliError(
    exitCodes.failed,
    `Your sign-in to ${gateway} has ended: ${why}.`,
    `Run \`sallyport login --gateway ${shellWord(gateway)}\`.`,
    cause,
  );
