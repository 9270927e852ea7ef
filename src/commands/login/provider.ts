import {
  allowInsecureRequests,
  ClientSecretPost,
  type Configuration,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  None,
  refreshTokenGrant,
  type TokenEndpointResponse,
  tokenRevocation,
} from 'openid-client';
import { CliError, exitCodes } from '../cli.ts';
import { boundedFetch } from './bounded-fetch.ts';
import type { Entry, Source } from './credentials.ts';
import { isSafe, type LoginProvider } from './gateway.ts';
import { type Party, problemOf } from './problems.ts';

/** Seconds that one request may take. */
const timeoutSeconds = 15;

/** An OpenID provider whose discovery document has been read. */
export interface OidcProvider extends Party {
  readonly login: LoginProvider;
  readonly oauth: Configuration;
  /** Parameters of a request for a token of the right audience: RFC 8707, and as Auth0 calls it. */
  readonly audience: Readonly<Record<string, string>>;
}

/** Reads the provider's discovery document (OpenID Connect Discovery 1.0, section 4). Throws CliError. */
export async function connectProvider(login: LoginProvider): Promise<OidcProvider> {
  const { issuer, client_id: clientId, client_secret: clientSecret, resource } = login;
  if (login.kind !== 'oidc' || issuer === undefined || clientId === undefined || !isSafe(issuer))
    throw new CliError(
      exitCodes.failed,
      `The gateway does not say how one signs in with ${login.name} (issuer and client).`,
      'Whoever runs it must set `login.clientId` of this provider.',
    );
  const party = { name: `The identity provider ${login.name}`, url: issuer };
  try {
    const oauth = await discovery(
      new URL(issuer),
      clientId,
      undefined,
      clientSecret === undefined ? None() : ClientSecretPost(clientSecret),
      {
        timeout: timeoutSeconds,
        [customFetch]: boundedFetch,
        execute: [enableNonRepudiationChecks, ...(issuer.startsWith('http:') ? [allowInsecureRequests] : [])],
      },
    );
    return { ...party, login, oauth, audience: audienceOf(resource) };
  } catch (error) {
    throw problemOf(error, party);
  }
}

/** What is kept beside the tokens of this provider. */
export function sourceOf({ login, oauth }: OidcProvider): Source {
  const { issuer, token_endpoint: tokenEndpoint = '' } = oauth.serverMetadata();
  const { client_id: clientId = '', resource, scopes } = login;
  return {
    issuer: login.issuer ?? issuer,
    clientId,
    tokenEndpoint,
    scopes,
    ...(resource === undefined ? {} : { resource }),
  };
}

/** Whether a gateway still names the provider, client and resource that it named at the sign-in. */
export const isSource = ({ issuer, clientId, resource }: Source, login: LoginProvider): boolean =>
  issuer === login.issuer && clientId === login.client_id && resource === login.resource;

/**
 * Connects the provider that gave the refresh token of a sign-in. Whoever can change what the gateway says must not get at it:
 * another issuer, client, resource or token endpoint is refused before anything is sent there. Throws CliError.
 */
export async function connectSource(login: LoginProvider, { source }: Pick<Entry, 'source'>): Promise<OidcProvider> {
  if (source === undefined || !isSource(source, login)) throw otherProvider(login);
  const provider = await connectProvider(login);
  if (provider.oauth.serverMetadata().token_endpoint !== source.tokenEndpoint) throw otherProvider(login);
  return provider;
}

const otherProvider = ({ name, issuer }: LoginProvider) =>
  new CliError(
    exitCodes.failed,
    `The gateway now names another identity provider, client, resource or token endpoint for ${name} (${issuer ?? 'no issuer'}) than you signed in with: the refresh token is not sent there.`,
    'If that change is right (ask whoever runs the gateway), sign in again with `sallyport login`.',
  );

/** RFC 8707, section 2: `resource` is an absolute URI; what is none can only be meant for `audience`. */
function audienceOf(resource: string | undefined): Record<string, string> {
  if (resource === undefined) return {};
  return { audience: resource, ...(URL.canParse(resource) ? { resource } : {}) };
}

/** What a provider gave: the token to exchange, and what renews it. */
export interface ProviderTokens {
  readonly subject: { readonly token: string; readonly type: 'access_token' | 'id_token' };
  readonly refreshToken: string | undefined;
}

/** Picks the token that this provider's gateway takes. Throws CliError. */
export function providerTokens(provider: OidcProvider, answer: TokenEndpointResponse): ProviderTokens {
  const { exchange } = provider.login;
  const token = exchange === 'id_token' ? answer.id_token : answer.access_token;
  if (token === undefined)
    throw new CliError(
      exitCodes.failed,
      `${provider.name} gave no ID token.`,
      'Whoever runs the gateway must add `openid` to `login.scopes` of this provider.',
    );
  return { subject: { token, type: exchange }, refreshToken: answer.refresh_token };
}

/** Renews a sign-in (RFC 6749, section 6). The answer may bring a new refresh token, and the old one is then dead. Throws CliError. */
export async function refresh(provider: OidcProvider, refreshToken: string): Promise<ProviderTokens> {
  try {
    return providerTokens(provider, await refreshTokenGrant(provider.oauth, refreshToken, provider.audience));
  } catch (error) {
    throw problemOf(error, provider);
  }
}

/**
 * Takes a refresh token back (RFC 7009), which ends the sign-in at the provider.
 * @returns whether the provider has an endpoint for that. Throws CliError.
 */
export async function revokeRefreshToken(provider: OidcProvider, refreshToken: string): Promise<boolean> {
  if (provider.oauth.serverMetadata().revocation_endpoint === undefined) return false;
  try {
    await tokenRevocation(provider.oauth, refreshToken, { token_type_hint: 'refresh_token' });
    return true;
  } catch (error) {
    throw problemOf(error, provider);
  }
}
