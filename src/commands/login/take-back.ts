/** Ends what a sign-in left: the gateway's token, and its renewal at the identity provider. */
import { tokenRevocation } from 'openid-client';
import { CliError } from '../cli.ts';
import type { Entry } from './credentials.ts';
import { type Gateway, readGateway } from './gateway.ts';
import { problemOf } from './problems.ts';
import { connectSource, revokeRefreshToken } from './provider.ts';

/** @returns what could not be taken back, a sentence each */
export async function takeBack(url: string, entry: Entry): Promise<string[]> {
  const gateway = await readGateway(url).catch((error: unknown) => sentence(error));
  if (typeof gateway === 'string') return [gateway];
  const done = await Promise.all([revokeToken(gateway, entry.token), revokeRenewal(gateway, entry)]);
  return done.flat();
}

/** Takes back a token that the gateway issued (RFC 7009), as `takeBack`. */
export async function revokeToken(gateway: Gateway, token: string): Promise<string[]> {
  try {
    await tokenRevocation(gateway.oauth, token, { token_type_hint: 'access_token' });
    return [];
  } catch (error) {
    return [sentence(problemOf(error, gateway))];
  }
}

/** Takes back the refresh token of a sign-in, where it has one and the provider can, as `takeBack`. */
export async function revokeRenewal(gateway: Gateway, entry: Entry): Promise<string[]> {
  const { refreshToken } = entry;
  const login = gateway.providers.find(({ name }) => name === entry.provider);
  if (refreshToken === undefined || login === undefined) return [];
  try {
    await revokeRefreshToken(await connectSource(login, entry), refreshToken);
    return [];
  } catch (error) {
    return [sentence(error)];
  }
}

function sentence(error: unknown): string {
  if (error instanceof CliError) return error.message;
  throw error;
}
