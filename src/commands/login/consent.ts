/** Before the first sign-in at a gateway: the user sees who is to get what. */
import { createInterface } from 'node:readline';
import { CliError, exitCodes, type Io } from '../cli.ts';
import { facts, shellWord } from '../text.ts';
import { aborting } from './browser.ts';
import type { Entry } from './credentials.ts';
import type { ChosenGateway, LoginProvider } from './gateway.ts';
import { isSource } from './provider.ts';

export interface Consent {
  readonly chosen: ChosenGateway;
  readonly login: LoginProvider;
  /** The sign-in that is kept of this gateway. */
  readonly before: Entry | undefined;
  /** `--yes`. */
  readonly isYes: boolean;
}

/**
 * Asks whether to sign in at a gateway that is new here, or that names another provider, client, resource or more scopes than
 * before: it gets the provider's token, and says itself what that token is good for. Where nobody can be asked, the user must
 * have named it. Throws CliError.
 */
export async function askConsent(consent: Consent, io: Io, signal: AbortSignal): Promise<void> {
  const { chosen, before, isYes } = consent;
  if (before !== undefined && isKnown(before, consent.login)) return;
  io.stderr.write(`${before === undefined ? 'First sign-in at' : 'Another way to sign in at'} this gateway:\n`);
  io.stderr.write(`${shown(consent)}\n`);
  if (isYes) return;
  if (io.stdin?.isTTY !== true) {
    if (chosen.isNamed) return;
    throw new CliError(
      exitCodes.usage,
      `Nobody can be asked here whether ${chosen.url} may have your token; ${chosen.namedBy} names it.`,
      `If it may, say so: --gateway ${shellWord(chosen.url)}, or --yes.`,
    );
  }
  if (await isAgreed(io, signal)) return;
  throw new CliError(exitCodes.failed, 'Not signed in.', 'Name the gateway that you mean with --gateway.');
}

function isKnown({ provider, source }: Entry, login: LoginProvider): boolean {
  if (provider !== login.name) return false;
  if (source === undefined) return login.kind === 'saml';
  return (
    login.kind === 'oidc' && isSource(source, login) && login.scopes.every((scope) => source.scopes.includes(scope))
  );
}

const shown = ({ chosen: { url, namedBy }, login }: Consent) =>
  facts([
    ['  Gateway', namedBy === undefined ? url : `${url} (${namedBy})`],
    ['  Provider', login.kind === 'saml' ? `${login.name} (SAML)` : login.name],
    ['  Issuer', login.issuer],
    ['  Client', login.client_id],
    ['  Scopes', login.scopes.join(' ')],
    ['  Resource', login.resource],
  ]);

async function isAgreed(io: Io, signal: AbortSignal): Promise<boolean> {
  const reader = createInterface({ input: io.stdin as NodeJS.ReadableStream });
  const lines = reader[Symbol.asyncIterator]();
  try {
    io.stderr.write('Go on? [y/N] ');
    const line = await aborting(lines.next(), signal);
    return line.done !== true && /^y(es)?$/i.test(line.value.trim());
  } finally {
    reader.close();
  }
}
