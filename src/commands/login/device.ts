import { initiateDeviceAuthorization, pollDeviceAuthorizationGrant, type TokenEndpointResponse } from 'openid-client';
import { CliError, exitCodes } from '../cli.ts';
import { escapeControls } from '../text.ts';
import { problemOf } from './problems.ts';
import type { OidcProvider } from './provider.ts';

/** Longest that a code is waited for, whatever the provider says: a timer takes no more than 24 days. */
const maxSeconds = 3600;

/**
 * Signs in with a browser elsewhere (RFC 8628): shows a code, and asks the provider until it has been entered, as often as
 * it allows (`interval`, `slow_down`). Throws CliError.
 */
export async function signInByDevice(
  provider: OidcProvider,
  parameters: Readonly<Record<string, string>>,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<TokenEndpointResponse> {
  if (provider.oauth.serverMetadata().device_authorization_endpoint === undefined)
    throw new CliError(
      exitCodes.failed,
      `${provider.name} has no sign-in by device code.`,
      'Leave --device out and sign in on a machine that has a browser.',
    );
  try {
    const started = await initiateDeviceAuthorization(provider.oauth, parameters);
    say('On any device, open');
    say(`\n  ${escapeControls(started.verification_uri)}\n`);
    say(`and enter the code  ${escapeControls(started.user_code)}`);
    if (started.verification_uri_complete !== undefined)
      say(`\nor open  ${escapeControls(started.verification_uri_complete)}\nand compare the code.`);
    say(`\nWaiting for the sign-in, ${Math.ceil(started.expires_in / 60)} min at most (Ctrl-C to stop).`);
    const expired = AbortSignal.timeout(Math.min(started.expires_in, maxSeconds) * 1000);
    return await pollDeviceAuthorizationGrant(provider.oauth, started, provider.audience, {
      signal: AbortSignal.any([signal, expired]),
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw problemOf(error, provider);
  }
}
