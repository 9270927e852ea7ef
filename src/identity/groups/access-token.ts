import { codeIn, type Lookup, objectIn } from './lookup.ts';
import { GroupsProblem } from './problem.ts';

/** Fetched anew this long before its expiry, so that it does not expire on its way. */
const aheadMs = 60_000;
/** A token endpoint that refused is not asked again for as long: accounts get locked over repeated failures. */
const keepFailureMs = 3000;
const maxTokenLength = 16_384;

export interface AccessTokenParts {
  readonly url: string;
  /** The form that is posted, secrets included; made for each request. */
  readonly form: () => Promise<Readonly<Record<string, string>>>;
  /** What an error of the endpoint means, if it is a known one. */
  readonly explain: (error: Readonly<Record<string, unknown>>) => string | undefined;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** The gateway's own access token for an API (RFC 6749 §4.4, RFC 7523): kept until shortly before its expiry, fetched once for all. */
export class AccessToken {
  readonly #parts: AccessTokenParts;
  #current: { readonly value: string; readonly untilMs: number } | undefined;
  #failure: { readonly problem: GroupsProblem; readonly atMs: number } | undefined;
  #pending: Promise<string> | undefined;

  constructor(parts: AccessTokenParts) {
    this.#parts = parts;
  }

  /** Rejects with GroupsProblem. */
  async get(lookup: Lookup): Promise<string> {
    const nowMs = this.#parts.now();
    if (this.#current !== undefined && nowMs < this.#current.untilMs) return this.#current.value;
    if (this.#failure !== undefined && Math.abs(nowMs - this.#failure.atMs) < keepFailureMs)
      throw this.#failure.problem;
    this.#pending ??= this.#fetch(lookup).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** The API did not take this one. One that was fetched since stays. */
  forget(value: string): void {
    if (this.#current?.value === value) this.#current = undefined;
  }

  async #fetch(lookup: Lookup): Promise<string> {
    const { now } = this.#parts;
    try {
      const fromMs = now();
      const { value, lifeMs } = await this.#ask(lookup);
      this.#current = { value, untilMs: fromMs + Math.max(lifeMs - aheadMs, 0) };
      this.#failure = undefined;
      return value;
    } catch (error) {
      const problem =
        error instanceof GroupsProblem
          ? error
          : new GroupsProblem('the access token cannot be fetched', { cause: error });
      this.#failure = { problem, atMs: now() };
      throw problem;
    }
  }

  async #ask(lookup: Lookup): Promise<{ readonly value: string; readonly lifeMs: number }> {
    const { form, url, explain } = this.#parts;
    const answer = await lookup.ask(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(await form()).toString(),
    });
    const body = objectIn(answer.text);
    if (answer.status !== 200)
      throw new GroupsProblem(
        `the token endpoint answered ${answer.status} (${codeIn(body?.['error'])})${hint(body && explain(body))}`,
      );
    const { access_token: value, expires_in: life, token_type: type } = body ?? {};
    // RFC 6749 §5.1: the type is case-insensitive; a lifetime that is not said is a short one.
    const isToken = typeof value === 'string' && value.length <= maxTokenLength && /^[\x21-\x7e]+$/.test(value);
    if (!isToken || typeof type !== 'string' || type.toLowerCase() !== 'bearer')
      throw new GroupsProblem('the token endpoint answered without a bearer token');
    const seconds = typeof life === 'number' && life > 0 && life <= 86_400 ? life : 60;
    return { value, lifeMs: seconds * 1000 };
  }
}

const hint = (text: string | undefined): string => (text === undefined ? '' : `: ${text}`);
