/** How a guard is asked: one POST, bounded in time and bytes, redirects never followed. */
import { Agent, request } from 'undici';

/** Longest answer in bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Why there is no answer. `code` is safe to put on the record; nothing of the text or the answer is kept. */
export class GuardFailure extends Error {
  override readonly name = 'GuardFailure';
  readonly code: FailureCode;

  constructor(code: FailureCode, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
  }
}

export type FailureCode =
  /** No verdict within `timeout`. */
  | 'guard_timeout'
  /** Not reached, or the connection broke. */
  | 'guard_unreachable'
  /** A status other than 200: redirects, too. */
  | 'guard_status'
  /** Not an answer of the form, or longer than 64 KiB. */
  | 'guard_answer'
  /** More checks wait than may. */
  | 'guard_busy'
  /** The text is longer than `maxCharacters`. */
  | 'guard_text_too_long'
  | 'guard_no_text'
  /** Nobody waited any more. */
  | 'guard_abandoned';

export interface GuardClient {
  /** Sends a JSON text; resolves with the text of the answer, rejects with GuardFailure. `signal` ends it. */
  post(body: string, signal: AbortSignal): Promise<string>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

export interface ClientOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly timeoutMs: number;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string;
}

export function createGuardClient(options: ClientOptions): GuardClient {
  const { url, timeoutMs } = options;
  const agent = new Agent({
    connections: options.connections,
    pipelining: 1,
    connect: { timeout: timeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MAX_ANSWER_BYTES,
    keepAliveTimeout: 4_000,
  });
  return {
    async post(body, signal) {
      try {
        const answer = await request(url, {
          dispatcher: agent,
          method: 'POST',
          headers: {
            accept: 'application/json',
            'accept-encoding': 'identity',
            'content-type': 'application/json',
            'user-agent': 'sallyport',
            ...options.headers,
          },
          body,
          signal,
        });
        if (answer.statusCode !== 200) {
          // Its connection goes with it.
          answer.body.on('error', () => {}).destroy();
          throw new GuardFailure('guard_status');
        }
        return new TextDecoder('utf-8', { fatal: true }).decode(await answer.body.arrayBuffer());
      } catch (error) {
        throw failureOf(error);
      }
    },
    close: () => agent.destroy(),
  };
}

function failureOf(error: unknown): GuardFailure {
  if (error instanceof GuardFailure) return error;
  const { code, name } = error as { readonly code?: string; readonly name?: string };
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE' || code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
    return new GuardFailure('guard_answer', { cause: error });
  if (name === 'AbortError' || code === 'UND_ERR_ABORTED' || /TIMEOUT/.test(code ?? ''))
    return new GuardFailure('guard_timeout', { cause: error });
  return new GuardFailure('guard_unreachable', { cause: error });
}
