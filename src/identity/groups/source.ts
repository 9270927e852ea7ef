import type { Http, HttpAnswer } from '../http.ts';
import type { AccessToken } from './access-token.ts';
import type { Question } from './asked.ts';
import type { Ask, Lookup } from './lookup.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** What a reader needs of the rest of the gateway. */
export interface GroupsParts {
  /** Asks the configured APIs: their hosts (`hostsOfGroups`) must be among its trusted ones. */
  readonly http: Http;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Reads a secret of the config; rejects when it cannot. Asked for each access token, so that a secret can be changed. */
  readonly readSecret: (secret: {
    readonly file?: string | undefined;
    readonly env?: string | undefined;
  }) => Promise<string>;
  /** `userinfo_endpoint` of the provider's discovery document; rejects when there is none. For source `userinfo`. */
  readonly userinfoEndpoint?: (() => Promise<string>) | undefined;
  /** Waits that many milliseconds before a throttled request is repeated. Default: really. */
  readonly sleep?: ((ms: number) => Promise<unknown>) | undefined;
}

/** What there is to know about a caller before anybody is asked. */
export interface Known {
  readonly claims: Claims;
  readonly subject: string;
  /** The caller's own access token, where there is one. */
  readonly token: string | undefined;
  /** The token says that there are more groups than it holds. */
  readonly overage: boolean;
}

/** Where groups come from that are not in the token. */
export interface GroupsSource {
  /** Undefined: the token says all. A text: why it cannot be asked about this caller (for the record). */
  questionFor(known: Known): Question | string | undefined;
}

/** Asks with the gateway's own access token; one that is refused (401) is fetched anew, once. */
export async function askWithToken(
  lookup: Lookup,
  accessToken: AccessToken,
  url: string,
  saysLater?: (answer: HttpAnswer) => boolean,
): Promise<HttpAnswer> {
  const askWith = async (token: string) => lookup.ask(url, withBearer(token), saysLater);
  const first = await accessToken.get(lookup);
  const answer = await askWith(first);
  if (answer.status !== 401) return answer;
  accessToken.forget(first);
  return askWith(await accessToken.get(lookup));
}

/** RFC 6750 §2.1. */
export const withBearer = (token: string): Ask => ({ headers: { authorization: `Bearer ${token}` } });
