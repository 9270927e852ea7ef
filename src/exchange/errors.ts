/**
 * Every refusal that a caller can get from the gateway: one table. docs/errors.md is generated from it. Statuses follow
 * the design; bodies have the shape that the caller's own SDK expects.
 */

/** Who can make the error go away. */
export type Fixer = 'caller' | 'policy owner' | 'operator' | 'model owner' | 'nobody (it passes)';

export interface ErrorRow {
  readonly status: number;
  /** OpenAI's `error.type`. */
  readonly type:
    | 'invalid_request_error'
    | 'authentication_error'
    | 'permission_error'
    | 'rate_limit_error'
    | 'server_error';
  /** Exception class of the official `openai` SDKs for this status. */
  readonly sdk:
    | 'BadRequestError'
    | 'AuthenticationError'
    | 'PermissionDeniedError'
    | 'NotFoundError'
    | 'RateLimitError'
    | 'InternalServerError'
    | 'APIError';
  /** Whether the same request may succeed later; sent as `x-should-retry`, which the SDKs obey. */
  readonly retry: boolean;
  /** Seconds, where `Retry-After` is due (RFC 9110, section 10.2.3). */
  readonly retryAfterSeconds?: number;
  /** `error` parameter of `WWW-Authenticate` (RFC 6750, section 3.1); null: no credential was sent, so no error is named. */
  readonly bearer?: 'invalid_token' | 'invalid_request' | null;
  readonly fixer: Fixer;
  readonly meaning: string;
  readonly fix: string;
}

const unauthorized = {
  status: 401,
  type: 'authentication_error',
  sdk: 'AuthenticationError',
  retry: false,
  fixer: 'caller',
} as const;
const badRequest = {
  status: 400,
  type: 'invalid_request_error',
  sdk: 'BadRequestError',
  retry: false,
  fixer: 'caller',
} as const;
const badMedia = {
  status: 415,
  type: 'invalid_request_error',
  sdk: 'APIError',
  retry: false,
  fixer: 'caller',
} as const;
const forbidden = { status: 403, type: 'permission_error', sdk: 'PermissionDeniedError', retry: false } as const;
const unavailable = {
  status: 503,
  type: 'server_error',
  sdk: 'InternalServerError',
  retry: true,
  retryAfterSeconds: 5,
} as const;
const badAnswer = {
  status: 502,
  type: 'server_error',
  sdk: 'InternalServerError',
  retry: false,
  fixer: 'model owner',
} as const;

export const errors = {
  token_missing: {
    ...unauthorized,
    bearer: null,
    meaning: 'The request carries no credential.',
    fix: 'Send an access token as `Authorization: Bearer …` (in an SDK: as the API key).',
  },
  token_malformed: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'The credential is not a token of a kind that the gateway takes.',
    fix: 'Send an access token of the identity provider, unchanged; not an ID token, not the key of a model provider.',
  },
  token_expired: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'The token has expired.',
    fix: 'Get a new access token and send the request again.',
  },
  token_revoked: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'The token, or all that its owner held, has been taken back.',
    fix: 'Sign in again; if that is refused too, talk to whoever runs the gateway.',
  },
  // 401: without groups the caller is not fully known. RFC 6750, section 3.1: invalid_token is for "other reasons" too.
  groups_unavailable: {
    ...unauthorized,
    retry: true,
    retryAfterSeconds: 5,
    bearer: 'invalid_token',
    fixer: 'operator',
    meaning: "The caller's groups cannot be read, and without them no rule can be decided.",
    fix: 'Try again; if it stays, the operator looks at why the provider does not tell them (`sallyport explain SESSION`).',
  },
  token_not_yet_valid: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'The token is not valid yet, or was issued in the future.',
    fix: 'Compare the clocks of the caller, the identity provider and the gateway.',
  },
  issuer_unknown: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'No configured identity provider issued this token.',
    fix: 'Get the token from the provider that the gateway trusts (`identity.providers`).',
  },
  audience_wrong: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'The token was issued for another service.',
    fix: "Ask the identity provider for a token with the gateway's audience.",
  },
  token_invalid: {
    ...unauthorized,
    bearer: 'invalid_token',
    meaning: 'The signature or a claim of the token does not hold.',
    fix: 'Get a new access token. `sallyport explain SESSION` names what failed.',
  },
  credentials_conflict: {
    ...unauthorized,
    bearer: 'invalid_request',
    meaning: 'The request carries two different credentials, or one header with several.',
    fix: 'Send one credential, in one header.',
  },
  credential_in_query: {
    ...unauthorized,
    bearer: 'invalid_request',
    meaning: 'The URL carries a credential in its query, where logs keep it.',
    fix: 'Send the credential in a header, and replace the one that was in the URL.',
  },
  keys_unavailable: {
    ...unavailable,
    fixer: 'operator',
    meaning: "The identity provider's keys cannot be fetched, so the token cannot be checked.",
    fix: 'Try again; if it stays, the operator checks that the gateway reaches the provider.',
  },
  state_unavailable: {
    ...unavailable,
    fixer: 'operator',
    meaning: 'The control state cannot be read, so it is not known whether the token has been taken back.',
    fix: 'Try again; the operator looks at the state store.',
  },
  invalid_json: {
    ...badRequest,
    meaning:
      'The body is not JSON, or is JSON that two parsers could read differently (a name used twice, a byte order mark, …).',
    fix: 'Send what a JSON library writes; the message says which byte was refused.',
  },
  invalid_request: {
    ...badRequest,
    meaning: 'A field of the request is missing or of the wrong type.',
    fix: 'Correct the field that the message names.',
  },
  unsupported_encoding: {
    ...badMedia,
    meaning: 'The body is compressed or otherwise encoded.',
    fix: 'Send the body as it is, without `Content-Encoding`.',
  },
  unsupported_media_type: {
    ...badMedia,
    meaning: 'The body is not declared as JSON in UTF-8.',
    fix: 'Send `Content-Type: application/json`.',
  },
  request_too_large: {
    status: 413,
    type: 'invalid_request_error',
    sdk: 'APIError',
    retry: false,
    fixer: 'caller',
    meaning: 'The body is larger than `maxRequestBytes`.',
    fix: 'Send a shorter request, or ask the operator for a higher limit.',
  },
  unknown_model: {
    ...forbidden,
    fixer: 'caller',
    meaning: 'No model of this name is registered, or none that this address, path and format admit.',
    fix: 'Use a name that `GET /v1/models` lists.',
  },
  path_not_admitted: {
    ...forbidden,
    fixer: 'caller',
    meaning: 'No model takes requests with this method and path.',
    fix: 'Use a path of the model API, such as `POST /v1/chat/completions`.',
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    sdk: 'APIError',
    retry: false,
    fixer: 'nobody (it passes)',
    meaning:
      'An MCP server behind the gateway is spoken to with `POST` alone: its own stream of messages (`GET`) and the end of a session (`DELETE`) are not passed.',
    fix: 'Nothing: MCP clients take this answer as "there is no such stream" and go on.',
  },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    sdk: 'NotFoundError',
    retry: false,
    fixer: 'caller',
    meaning: 'There is no model of this name, or none that the caller may use.',
    fix: 'Use a name that the list of models has (`GET /v1/models`).',
  },
  upgrade_refused: {
    ...forbidden,
    fixer: 'caller',
    meaning: 'WebSocket, CONNECT and other upgrades cannot be examined, so they are refused.',
    fix: 'Use plain HTTP requests.',
  },
  policy_denied: {
    ...forbidden,
    fixer: 'policy owner',
    meaning: 'A rule denies this request; the message is the rule’s own.',
    fix: 'Change the request as the message says, or talk to the owner of the rule.',
  },
  no_rule_allows: {
    ...forbidden,
    fixer: 'policy owner',
    meaning: 'No rule allows this request, and what no rule allows is denied.',
    fix: 'Ask the owner of the model for a rule that allows it.',
  },
  policy_error: {
    ...forbidden,
    fixer: 'policy owner',
    meaning: 'A rule could not be evaluated, and a rule that cannot be evaluated denies.',
    fix: 'The owner corrects the rule that the record names.',
  },
  request_not_maskable: {
    ...forbidden,
    fixer: 'policy owner',
    meaning:
      'A rule masks this request before the model sees it, and it cannot be masked: its body is opaque, or its route is fixed.',
    fix: 'The owner of the rule denies such requests, or leaves them out; docs/policies.md ("Masking requests") says where masking works.',
  },
  response_stopped: {
    ...forbidden,
    fixer: 'policy owner',
    meaning: 'A rule stopped the answer, or could not be evaluated; the message is the rule’s own.',
    fix: 'Change the request as the message says, or talk to the owner of the rule.',
  },
  approval_required: {
    ...forbidden,
    fixer: 'policy owner',
    meaning: 'A rule holds this request until a human approves it.',
    fix: 'Talk to the approvers that the message names. Asking for an approval is not built yet: until then the request does not pass.',
  },
  rate_limit_exceeded: {
    status: 429,
    type: 'rate_limit_error',
    sdk: 'RateLimitError',
    retry: true,
    fixer: 'nobody (it passes)',
    meaning: 'A limit of requests or tokens is used up.',
    fix: 'Wait for as long as `Retry-After` says, or talk to the owner of the rule that the message names.',
  },
  limits_unavailable: {
    ...unavailable,
    fixer: 'operator',
    meaning: 'The counters of requests and tokens are out of reach, so it is not known whether a limit is used up.',
    fix: 'Try again; the operator looks at the state store (Redis).',
  },
  record_unavailable: {
    ...unavailable,
    fixer: 'operator',
    meaning: 'The record cannot be written, and nothing passes without a record.',
    fix: 'Try again; the operator looks at the disk of the journal.',
  },
  gate_failed: {
    ...unavailable,
    fixer: 'operator',
    meaning: 'The gateway failed while it handled the request.',
    fix: 'Try again; the operator finds the cause in the log, by the session.',
  },
  envoy_misconfigured: {
    ...unavailable,
    retry: false,
    fixer: 'operator',
    meaning: 'Envoy does not send what the gateway needs; the message names the field.',
    fix: 'The operator compares the configuration with `sallyport envoy print`, or runs `sallyport envoy check`.',
  },
  plan_invalid: {
    ...unavailable,
    retry: false,
    fixer: 'operator',
    meaning: 'The answer arrived without the plan that the request gate made for it, or with another one.',
    fix: 'The operator runs `sallyport envoy check`: a filter is missing, doubled, or bypassed on this route.',
  },
  overloaded: {
    ...unavailable,
    retryAfterSeconds: 1,
    fixer: 'nobody (it passes)',
    meaning: 'Too many large requests are being read at this moment.',
    fix: 'Try again shortly.',
  },
  model_unavailable: {
    ...unavailable,
    fixer: 'model owner',
    meaning: 'Envoy could not reach the model.',
    fix: 'Try again; if it stays, the owner of the model looks after it.',
  },
  response_unreadable: {
    ...badAnswer,
    meaning: "The model's answer cannot be read strictly, so it cannot be masked or recorded.",
    fix: 'The record says what was wrong; the owner of the model corrects its server.',
  },
  response_type_refused: {
    ...badAnswer,
    meaning: "The model's answer has a content type or status that the gateway does not pass.",
    fix: 'The model answers as JSON, server-sent events, NDJSON or plain text, and not in ranges.',
  },
  response_encoding_refused: {
    ...badAnswer,
    meaning: "The model's answer is compressed, against what it was asked.",
    fix: 'The owner of the model turns compression off.',
  },
} as const satisfies Readonly<Record<string, ErrorRow>>;

export type ErrorCode = keyof typeof errors;

/** The row of a code, as the common type. */
export function errorRow(code: ErrorCode): ErrorRow {
  return errors[code];
}

/** Headers of a refusal, lower case. */
export function errorHeaders(
  code: ErrorCode,
  session: string | undefined,
): readonly (readonly [name: string, value: string])[] {
  const row = errorRow(code);
  const headers: (readonly [string, string])[] = [
    ['content-type', 'application/json'],
    ['x-should-retry', String(row.retry)],
  ];
  if (row.retry && row.retryAfterSeconds !== undefined) headers.push(['retry-after', String(row.retryAfterSeconds)]);
  if (row.bearer !== undefined) headers.push(['www-authenticate', challenge(row.bearer, row.meaning)]);
  // RFC 9110, section 15.5.6.
  if (row.status === 405) headers.push(['allow', 'POST']);
  if (session !== undefined && session !== '') headers.push(['x-sallyport-session', session]);
  return headers;
}

/** RFC 6750, section 3: no error where no credential was sent; the description is the table's, so it needs no escaping. */
function challenge(error: string | null, description: string): string {
  const realm = 'Bearer realm="sallyport"';
  return error === null ? realm : `${realm}, error="${error}", error_description="${description}"`;
}
