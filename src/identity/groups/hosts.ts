import type { ProviderConfig } from '../config.ts';
import { graphTokenUrl } from './entra.ts';
import { apis } from './google-apis.ts';

/** Hosts that a provider's `groups:` section makes the gateway ask: for the trusted ones of its HTTP client. */
export function hostsOfGroups({ groups: { google, graph } }: ProviderConfig): readonly string[] {
  const urls = [
    ...(graph === undefined ? [] : [graph.url, graphTokenUrl(graph)]),
    ...(google === undefined ? [] : [google.url ?? apis[google.api].url, google.tokenUrl]),
  ];
  return urls.map((url) => new URL(url).hostname);
}
