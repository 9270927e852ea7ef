/** What goes wrong with OAuth, told to somebody who has not read its RFCs. */
import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';
import { CliError, exitCodes } from '../cli.ts';
import { escapeControls } from '../text.ts';

/** Who failed to answer, or answered no. */
export interface Party {
  /** As it is named in a message: `The gateway`, `The identity provider corp`. */
  readonly name: string;
  readonly url: string;
  /** How far its clock is ahead of this machine's, milliseconds; undefined: it did not say. */
  readonly clockAheadMs?: number | undefined;
}

/** A clock difference that no leeway makes up for. */
const badClockMs = 30_000;

/** Codes of openid-client for an answer that is not what the RFCs say. */
const notConform =
  /^OAUTH_(PARSE_ERROR|INVALID_RESPONSE|INVALID_SERVER_METADATA|MISSING_SERVER_METADATA|RESPONSE_IS_NOT_)/;

/** Makes a CliError of whatever an OAuth request rejected with. Bugs stay what they are. */
export function problemOf(error: unknown, party: Party): unknown {
  if (error instanceof CliError) return error;
  if (error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) return refused(error, party);
  if (!(error instanceof Error)) return error;
  const code = codeOf(error);
  if (code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED')
    return new CliError(
      exitCodes.failed,
      `${party.name} gave a token whose dates do not fit the clock of this machine.${clockNote(party)}`,
      'Set the clock right (turn on NTP), then try again.',
      error,
    );
  if (code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED' || code === 'OAUTH_JWT_CLAIM_COMPARISON_FAILED')
    return new CliError(
      exitCodes.failed,
      `${party.name} (${party.url}) is not the one that was asked, or this is an answer to somebody else: ${detailOf(error)}.`,
      'Nothing was stored. Try again; if it stays, tell whoever runs the gateway: issuer and URL must be equal to the letter.',
      error,
    );
  if (code !== undefined && notConform.test(code))
    return new CliError(
      exitCodes.failed,
      `What ${party.url} answers is not what an OAuth server says (${detailOf(error)}).`,
      'Check the URL; a sign-in page of the network, or a proxy, may answer in its place.',
      error,
    );
  if (code === 'OAUTH_TIMEOUT' || isNetwork(error)) return unreachable(party, error);
  if (code !== undefined)
    return new CliError(exitCodes.failed, `${party.name} could not be used: ${detailOf(error)}.`, 'Try again.', error);
  return error;
}

/** Most of what openid-client throws is its ClientError, some of it comes from the library below with the same codes. */
function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  const isOauth = typeof code === 'string' && (error instanceof ClientError || code.startsWith('OAUTH_'));
  return isOauth ? code : undefined;
}

/** openid-client says what in the cause. */
const detailOf = (error: Error) => escapeControls((error.cause instanceof Error ? error.cause : error).message);

const remedies: Readonly<Record<string, string>> = {
  access_denied: 'Run it again and say yes, or ask whoever runs the provider whether you may.',
  expired_token: 'Run `sallyport login` again, and enter the code sooner.',
  invalid_grant: 'Run `sallyport login`.',
  invalid_request: 'Run `sallyport login`; if it stays, tell whoever runs the gateway.',
  invalid_client: 'Whoever runs the gateway must correct `login.clientId` of this provider.',
  unauthorized_client:
    'Whoever runs the provider must allow this client that flow (browser: code; --device: device code).',
  invalid_scope: 'Whoever runs the gateway must correct `login.scopes` of this provider.',
  invalid_target: 'Whoever runs the gateway must correct `login.resource` of this provider.',
  unsupported_grant_type: 'The server is older than this sallyport, or it is not the right one.',
};

function refused(error: ResponseBodyError | AuthorizationResponseError, party: Party): CliError {
  const why = escapeControls((error.error_description ?? '').slice(0, 300)).replace(/\.$/, '');
  const denied = error.error === 'access_denied';
  const what = denied ? 'did not let you in' : 'said no';
  return new CliError(
    exitCodes.failed,
    `${party.name} ${what} (${escapeControls(error.error.slice(0, 100))}${why === '' ? '' : `: ${why}`}).${clockNote(party)}`,
    remedies[error.error] ?? 'Try again; if it stays, tell whoever runs the gateway.',
    error,
  );
}

/** Nobody answers there. */
export const unreachable = (party: Party, cause: unknown): CliError =>
  new CliError(
    exitCodes.unreachable,
    `${party.name} cannot be reached at ${party.url}${reason(cause)}.`,
    'Check the URL, the network, and that it is running.',
    cause,
  );

function reason(error: unknown): string {
  const { name } = error as Error;
  if (name === 'TimeoutError' || (error as { code?: unknown }).code === 'OAUTH_TIMEOUT') return ' (no answer in time)';
  const code = ((error as Error).cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? ` (${code})` : '';
}

/** `fetch` rejects with a TypeError that has a cause when the connection fails; other TypeErrors are bugs. */
const isNetwork = (error: Error) =>
  error.name === 'TimeoutError' || (error instanceof TypeError && error.message === 'fetch failed');

function clockNote({ clockAheadMs = 0 }: Party): string {
  if (Math.abs(clockAheadMs) < badClockMs) return '';
  const seconds = Math.round(Math.abs(clockAheadMs) / 1000);
  return ` This machine's clock is ${seconds} s ${clockAheadMs > 0 ? 'behind' : 'ahead of'} it.`;
}
