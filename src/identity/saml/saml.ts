/** What the rest of the gateway knows of SAML: one value a provider. */
import type { Identification } from '../caller.ts';
import type { Http } from '../http.ts';
import type { IdentityState } from '../state.ts';
import type { Examiner } from './examiner.ts';

export interface SamlProvider {
  readonly name: string;
  /** Our metadata (`application/samlmetadata+xml`): entityID, assertion consumer service, encryption certificate. */
  metadata(): string;
  /** Begins a sign-in (HTTP-Redirect binding): where the browser goes, and the request's ID to give back at `finish`. */
  begin(relayState: string): Promise<{ readonly url: string; readonly requestId: string } | SamlUnavailable>;
  /**
   * Ends one: the form field `SAMLResponse` (base64) that came to the assertion consumer service (HTTP-POST binding), in answer
   * to `requestId` and nothing else. Never rejects but when the state cannot be reached.
   */
  finish(samlResponse: string, requestId: string): Promise<Identification>;
  /** Reads the IdP's metadata where it is due; undefined, or why nobody can sign in now. For `/readyz`. Never rejects. */
  check(): Promise<string | undefined>;
  /** RFC 7522: a single assertion (base64url, section 2.1) as an authorization grant, for the token endpoint as Recipient. */
  bearer(assertion: string): Promise<Identification>;
}

/** The IdP's metadata cannot be had, or is too old. */
export interface SamlUnavailable {
  readonly ok: false;
  readonly detail: string;
}

/** A file that the config names cannot be used. `message` says why, and nothing of what is in it. */
export class SamlFileProblem extends Error {
  override readonly name = 'SamlFileProblem';
  readonly code = 'saml_file_problem';
  /** Key of the provider's section that names it: `idp.metadataFile`. */
  readonly key: string;
  readonly file: string;

  constructor(key: string, file: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.key = key;
    this.file = file;
  }
}

/** What `createSamlProvider` (provider.ts) needs beside its section of the config. */
export interface SamlParts {
  /** Base URL of the public listener, without a slash at the end: the endpoints are `<publicUrl>/saml/<name>/…`. */
  readonly publicUrl: string;
  /** URL of `/oauth/token`: Recipient (and accepted as Audience) of RFC 7522 assertions. */
  readonly tokenEndpoint: string;
  /** Where used assertions are remembered. */
  readonly state: IdentityState;
  /** For `metadataUrl`, whose host the client must trust. */
  readonly http: Http;
  /** Text of a file that the config names (as UTF-8); rejects when it cannot be read. */
  readonly readFile: (path: string) => Promise<string>;
  /** The thread that reads XML; one for all providers. */
  readonly examiner: Examiner;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Team of a caller, from `identity.teams`. */
  readonly teamOf: (provider: string, subject: string, groups: readonly string[]) => string | undefined;
}
