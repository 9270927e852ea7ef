/**
 * Headers of a model's answer that may leave: by name, each with the grammar of its value, so that none can carry a text
 * around the masker. `x-request-id` is not among them: ours takes its place.
 */

/** `12`, `1s`, `6m0s`, `250ms`, `1.5s`: what rate limit headers of the OpenAI API and its likes say. */
const COUNT_OR_DURATION = /^(?:\d{1,9}|(?:\d{1,4}(?:\.\d{1,3})?(?:ms|s|m|h)){1,4})$/;
/** RFC 9110 section 5.6.7. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
/** RFC 9111 section 5.2: directives, with a number of seconds at most. */
const CACHE_CONTROL = /^[a-z-]{1,24}(?:=\d{1,8})?(?:, ?[a-z-]{1,24}(?:=\d{1,8})?){0,8}$/;
const HEADER_NAMES = /^[A-Za-z][A-Za-z-]{0,30}(?:, ?[A-Za-z][A-Za-z-]{0,30}){0,8}$/;
/** MCP, "Session Management": visible ASCII. A UUID, a JWT or a hash is what there is. */
const MCP_SESSION = /^[A-Za-z0-9._~-]{1,512}$/;

const PASSED: ReadonlyMap<string, RegExp> = new Map([
  ['cache-control', CACHE_CONTROL],
  ['content-length', /^\d{1,12}$/],
  ['date', HTTP_DATE],
  ['mcp-session-id', MCP_SESSION],
  ['retry-after', /^\d{1,6}$/],
  ['transfer-encoding', /^chunked$/],
  ['vary', HEADER_NAMES],
  ['x-accel-buffering', /^(?:yes|no)$/],
  ['x-envoy-upstream-service-time', /^\d{1,9}$/],
  ...['limit', 'remaining', 'reset'].flatMap((what) =>
    ['requests', 'tokens'].map((unit) => [`x-ratelimit-${what}-${unit}`, COUNT_OR_DURATION] as const),
  ),
]);

/** The content type is read strictly elsewhere (response.ts), and sent as it was understood. */
export function leaves(name: string, value: string): boolean {
  return name.startsWith(':') || name === 'content-type' || PASSED.get(name)?.test(value) === true;
}
