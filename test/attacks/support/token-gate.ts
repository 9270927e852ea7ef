/** The gate as attackers meet it, held to one word with the report for developers. */
import { expect } from 'vitest';
import type { Identifier } from '../../../src/identity/caller.ts';
import type { IdentityConfig } from '../../../src/identity/config.ts';
import { inspectToken } from '../../../src/identity/inspect.ts';
import {
  bearer,
  configFor,
  epoch,
  goodClaims,
  identifierOf,
  partsOf,
  type TestProvider,
} from '../../unit/identity/provider.ts';

/** What refuses the tokens, and its config, from which the report for developers is made. */
export interface Gate {
  readonly identifier: Identifier;
  readonly config: IdentityConfig;
}
const now = () => epoch;
export function gateOf(provider: TestProvider, overrides: Record<string, unknown> = {}): Gate {
  const config = configFor(provider, overrides);
  return { config, identifier: identifierOf(config, now) };
}

/** What the gate says of a token. `inspect-token` must say the same, and neither may say the token or its signature. */
export async function reasonFor(token: string, by: Gate): Promise<string> {
  const answer = await by.identifier.identify(bearer(token));
  const report = await inspectToken(token, by.config, partsOf(now));
  expect(report.verdict).toEqual(answer);
  const failed = report.checks.filter(({ outcome }) => outcome === 'fail');
  expect(failed.length === 0).toBe(answer.ok);
  const signature = token.split('.').at(2) ?? '';
  if (signature.length > 20) expect(JSON.stringify(report)).not.toContain(signature.slice(0, 20));
  if (answer.ok) return 'ok';
  if (token !== '') expect(answer.detail).not.toContain(token.slice(0, 40));
  expect(answer.detail.length).toBeLessThan(200);
  return answer.reason;
}

export const goodHeader = () => JSON.stringify({ alg: 'ES256', kid: 'first', typ: 'at+jwt' });
export const goodText = (provider: TestProvider) => JSON.stringify(goodClaims(provider));
