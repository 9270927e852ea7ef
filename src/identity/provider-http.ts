import { readFileSync } from 'node:fs';
import type { ProviderConfig } from './config.ts';
import { hostsOfGroups } from './groups/hosts.ts';
import { createHttp, type Http } from './http.ts';

/** Hosts that the operator wrote down for a provider's discovery and keys. */
export const hostsOf = (provider: Pick<ProviderConfig, 'issuer' | 'jwksUri'>): readonly string[] =>
  [provider.issuer, provider.jwksUri ?? provider.issuer].map((url) => new URL(url).hostname);

/**
 * The client that asks a provider, and the APIs that know its groups. What its discovery document names is asked, too, but not on addresses of this machine or
 * its networks, unless the operator wrote that host down or allows private addresses.
 *
 * @throws Error when `keys.caFile` cannot be read.
 */
export function providerHttp(provider: ProviderConfig): Http {
  const { caFile, allowPrivateAddresses } = provider.keys;
  return createHttp({
    trustedHosts: [...hostsOf(provider), ...hostsOfGroups(provider)],
    allowPrivateAddresses,
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }),
  });
}
