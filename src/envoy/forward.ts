/**
 * What goes upstream on a "yes". Client headers pass by an allow-list, so no identity header that anyone has ever
 * thought of survives; ours are set over whatever the client sent.
 */
import type { GateRequest, Header } from '../checkpoint/stages.ts';

const PASSED = new Set([
  'accept',
  'accept-language',
  'baggage',
  'content-length',
  'content-type',
  // MCP, "Transports": its session, its version, and where a broken stream is taken up.
  'last-event-id',
  'mcp-protocol-version',
  'mcp-session-id',
  'transfer-encoding',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-b3-flags',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-request-id',
]);
/** Under a passed prefix, and yet identity: who is billed for the call. That comes with the model's own credential. */
const NOT_PASSED = new Set(['openai-organization', 'openai-project']);
/** SDKs' own headers: what they are, and how they retry. `openai-*` and `anthropic-*` choose features of the API. */
const PASSED_PREFIXES = ['x-stainless-', 'anthropic-', 'openai-'];
/** Set by Envoy itself on every request; harmless and useful upstream. */
const SET_BY_ENVOY = new Set(['x-forwarded-proto', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-external-address']);

export interface ForwardCaller {
  readonly provider: string;
  readonly subject: string;
  readonly team: string | undefined;
}

export interface ForwardModel {
  readonly cluster: string;
  readonly credential: { readonly header: string; readonly value: string } | undefined;
  readonly identity: { readonly header: string } | undefined;
}

/** Header that Envoy's one route takes the cluster from. */
export const UPSTREAM_HEADER = 'x-sallyport-upstream';

export function forwardHeaders(
  request: GateRequest,
  caller: ForwardCaller,
  model: ForwardModel,
  session: string,
  /** Who calls, signed: for models that want it. */
  assertion: string | undefined,
  /** The response gate masks the body, and only then names the cluster: until then there is no route. */
  routedLater = false,
): { setHeaders: Header[]; removeHeaders: string[] } {
  const setHeaders: Header[] = [
    ...(routedLater ? [] : [[UPSTREAM_HEADER, model.cluster] as const]),
    ['x-sallyport-session', session],
    ['x-sallyport-caller', `${encodeURIComponent(caller.provider)}/${encodeURIComponent(caller.subject)}`],
  ];
  if (caller.team !== undefined) setHeaders.push(['x-sallyport-team', encodeURIComponent(caller.team)]);
  if (model.credential !== undefined) setHeaders.push([model.credential.header.toLowerCase(), model.credential.value]);
  if (model.identity !== undefined && assertion !== undefined)
    setHeaders.push([model.identity.header.toLowerCase(), assertion]);
  const ours = new Set(setHeaders.map(([name]) => name));
  const removed = new Set<string>(routedLater ? [UPSTREAM_HEADER] : []);
  for (const [name] of request.headers) if (!passes(name) && !ours.has(name)) removed.add(name);
  return { setHeaders, removeHeaders: [...removed] };
}

function passes(name: string): boolean {
  // Envoy never removes pseudo-headers and Host; asking for it would fail the Check under `validate_mutations`.
  if (name.startsWith(':') || name === 'host' || PASSED.has(name) || SET_BY_ENVOY.has(name)) return true;
  return !NOT_PASSED.has(name) && PASSED_PREFIXES.some((prefix) => name.startsWith(prefix));
}
