/** Tokens that the gateway itself issued, checked with the keys that it publishes: the token stays here. */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import type { ErrorCode } from '../../exchange/errors.ts';
import type { ReportedCheck } from '../../identity/inspect.ts';
import type { OpenedToken } from '../../identity/token.ts';
import { CliError } from '../cli.ts';
import { type Gateway, readGateway } from '../login/gateway.ts';

const timeoutMs = 10_000;

export interface GatewayChecks {
  readonly checks: readonly ReportedCheck[];
  readonly note: string;
}

/** Checks a token whose issuer is `url`. Never rejects for what is wrong with the token, or with the gateway. */
export async function checkGatewayToken(token: string, url: string): Promise<GatewayChecks> {
  let gateway: Gateway;
  try {
    gateway = await readGateway(url);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { checks: [], note: `It is one of the gateway's own tokens, but it cannot be checked. ${error.message}` };
  }
  const { jwks_uri: keys } = gateway.oauth.serverMetadata();
  if (keys === undefined) return { checks: [], note: 'Not checked: the gateway publishes no keys.' };
  const issued: ReportedCheck = {
    name: 'issuer',
    outcome: 'pass',
    explanation: `Issued by the gateway ${url} itself.`,
  };
  try {
    await jwtVerify(token, createRemoteJWKSet(new URL(keys), { timeoutDuration: timeoutMs }), {
      issuer: url,
      algorithms: ['ES256'],
      typ: 'at+jwt',
    });
    return {
      checks: [
        issued,
        { name: 'signature', outcome: 'pass', explanation: "The gateway's own key signed it." },
        { name: 'dates', outcome: 'pass', explanation: 'It is valid now.' },
        { name: 'revoked', outcome: 'skipped', explanation: 'Only the gateway knows; `sallyport whoami` asks it.' },
      ],
      note: 'Signature and dates hold.',
    };
  } catch (error) {
    const [failed, note] = failureOf(error);
    return { checks: [issued, ...(failed === undefined ? [] : [failed])], note };
  }
}

function failureOf(error: unknown): readonly [ReportedCheck | undefined, string] {
  const fail = (name: ReportedCheck['name'], explanation: string, code: ErrorCode = 'token_invalid') =>
    [{ name, outcome: 'fail', explanation } as const, `The gateway refuses it: ${code} (docs/errors.md).`] as const;
  if (error instanceof errors.JWTExpired)
    return fail('dates', 'It has expired: `sallyport token` prints a new one.', 'token_expired');
  if (error instanceof errors.JWTClaimValidationFailed) return fail('dates', `The claim ${error.claim} does not hold.`);
  if (error instanceof errors.JWKSNoMatchingKey)
    return fail('key', 'The gateway publishes no such key: it was rotated long ago, or it is not its token.');
  if (error instanceof errors.JWSSignatureVerificationFailed) return fail('signature', 'The signature does not hold.');
  if (error instanceof errors.JOSEError && error.code !== 'ERR_JWKS_TIMEOUT' && error.code !== 'ERR_JOSE_GENERIC')
    return fail('form', 'It is not of the form of the tokens that the gateway issues.');
  return [undefined, "Not checked: the gateway's keys could not be fetched."];
}

/** The issuer that a token names, for a comparison. */
export const issuerOf = ({ claims }: OpenedToken): JWTPayload['iss'] =>
  typeof claims['iss'] === 'string' ? claims['iss'] : undefined;
