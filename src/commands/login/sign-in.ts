import type { TokenEndpointResponse } from 'openid-client';
import { CliError, exitCodes } from '../cli.ts';
import { type OpenBrowser, signInByBrowser } from './browser.ts';
import type { Entry } from './credentials.ts';
import { signInByDevice } from './device.ts';
import { exchange, type Gateway, gatewayToken, type LoginProvider } from './gateway.ts';
import { connectProvider, type OidcProvider, providerTokens, sourceOf } from './provider.ts';

export interface SignInOptions {
  readonly device: boolean;
  readonly redirectUri: string | undefined;
  readonly open: OpenBrowser | undefined;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Signs in with a provider and gets a token of the gateway for it. Throws CliError. */
export async function signIn(gateway: Gateway, login: LoginProvider, options: SignInOptions): Promise<Entry> {
  if (login.kind === 'saml') return signInBySaml(gateway, login, options);
  const provider = await connectProvider(login);
  const finish = (answer: TokenEndpointResponse) => entryOf(gateway, provider, answer);
  const parameters = { ...provider.audience, scope: login.scopes.join(' ') };
  if (options.device || login.flow === 'device')
    return finish(await signInByDevice(provider, parameters, options.say, options.signal));
  return signInByBrowser({
    ...options,
    party: provider,
    oauth: provider.oauth,
    parameters,
    tokenParameters: provider.audience,
    finish,
  });
}

async function entryOf(gateway: Gateway, provider: OidcProvider, answer: TokenEndpointResponse): Promise<Entry> {
  const { subject, refreshToken } = providerTokens(provider, answer);
  const issued = await exchange(gateway, subject);
  return {
    provider: provider.login.name,
    ...issued,
    source: sourceOf(provider),
    ...(refreshToken === undefined ? {} : { refreshToken }),
  };
}

/** The gateway itself is the service provider: its own authorization endpoint leads to the IdP and back. */
async function signInBySaml(gateway: Gateway, login: LoginProvider, options: SignInOptions): Promise<Entry> {
  if (options.device)
    throw new CliError(
      exitCodes.usage,
      `${login.name} is a SAML provider: there is no sign-in by device code.`,
      'Leave --device out and sign in on a machine that has a browser.',
    );
  if (gateway.oauth.serverMetadata().authorization_endpoint === undefined)
    throw new CliError(
      exitCodes.failed,
      'The gateway offers no sign-in in the browser.',
      'Check that gateway and sallyport are of the same version.',
    );
  return signInByBrowser({
    ...options,
    party: gateway,
    oauth: gateway.oauth,
    parameters: { provider: login.name },
    showsCode: true,
    finish: async (answer) => ({ provider: login.name, ...gatewayToken(gateway, answer) }),
  });
}
