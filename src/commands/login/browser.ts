import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  type TokenEndpointResponse,
} from 'openid-client';
import { CliError, exitCodes } from '../cli.ts';
import { isSafe } from './gateway.ts';
import { type Party, problemOf } from './problems.ts';
import { type Answer, listenForRedirect } from './redirect.ts';

/** Opens a URL in the user's browser. Rejects where there is none. */
export type OpenBrowser = (url: string) => Promise<unknown>;

export interface BrowserSignIn<T> {
  readonly party: Party;
  readonly oauth: Configuration;
  /** Parameters of the authorization request besides those of the flow itself. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Parameters of the token request (RFC 8707, section 2.2). */
  readonly tokenParameters?: Readonly<Record<string, string>>;
  readonly redirectUri: string | undefined;
  /** Undefined: the URL is only shown. */
  readonly open: OpenBrowser | undefined;
  /** Shows the user a line. */
  readonly say: (text: string) => void;
  /** Aborted: Ctrl-C, or too late. */
  readonly signal: AbortSignal;
  /** What is done with the answer while the browser waits to be told how it ended. */
  readonly finish: (answer: TokenEndpointResponse) => Promise<T>;
}

/**
 * Signs in with the user's browser: authorization code with PKCE S256 (RFC 7636), state, nonce and `iss` (RFC 9207), answered
 * on the loopback (RFC 8252). Throws CliError.
 */
export async function signInByBrowser<T>(signIn: BrowserSignIn<T>): Promise<T> {
  const { oauth, party, parameters, signal } = signIn;
  const verifier = randomPKCECodeVerifier();
  const state = randomState();
  const nonce = parameters['scope']?.split(' ').includes('openid') ? randomNonce() : undefined;
  const redirect = await listenForRedirect(state, signIn.redirectUri);
  try {
    const url = buildAuthorizationUrl(oauth, {
      ...parameters,
      redirect_uri: redirect.uri,
      response_type: 'code',
      state,
      ...(nonce && { nonce }),
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    // What is opened here is started: a server must not name a file or a program of this machine.
    if (!isSafe(url.href)) throw unsafePage(party);
    show(url.href, signIn);
    const answer = await aborting(redirect.answer, signal);
    return await showing(answer, async () => {
      const answered = answer.url.searchParams;
      // That it is there where the server promises it, openid-client checks.
      if ((answered.get('iss') ?? oauth.serverMetadata().issuer) !== oauth.serverMetadata().issuer)
        throw foreignAnswer();
      const checks = { pkceCodeVerifier: verifier, expectedState: state, ...(nonce && { expectedNonce: nonce }) };
      const tokens = await authorizationCodeGrant(oauth, answer.url, checks, { ...signIn.tokenParameters });
      return signIn.finish(tokens);
    });
  } catch (error) {
    throw problemOf(error, party);
  } finally {
    await redirect.close();
  }
}

/** Does not wait for the browser: some openers end when it does. */
function show(url: string, { open, say }: Pick<BrowserSignIn<unknown>, 'open' | 'say'>): void {
  say(
    open === undefined
      ? 'Open this in a browser on this machine:'
      : 'The browser opens. If it does not, open this yourself, on this machine:',
  );
  say(`\n  ${url}\n`);
  say('Waiting for the sign-in (Ctrl-C to stop). No browser here? `sallyport login --device`.');
  open?.(url).catch(() => say('No browser could be opened: open the address yourself.'));
}

/** Does the rest of a sign-in, and tells the browser how it ended. */
async function showing<T>(answer: Answer, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    await answer.show({ ok: true, title: 'Signed in', text: 'Go on in the terminal.' });
    return result;
  } catch (error) {
    await answer.show({ ok: false, title: 'Not signed in', text: 'The terminal says why.' });
    throw error;
  }
}

const unsafePage = ({ name }: Party) =>
  new CliError(exitCodes.failed, `${name} names a sign-in page that is no https address.`, 'Tell whoever runs it.');

const foreignAnswer = () =>
  new CliError(
    exitCodes.failed,
    'The answer that came is not of the server that was asked (its `iss` is another): somebody may have tried to slip you theirs.',
    'Nothing was stored. Run `sallyport login` again, and use the new page.',
  );

/** The promise, or the reason of the signal if that comes first. */
export function aborting<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}
