/** What the rest of the gateway knows of SAML: one value a provider. */
import type { Identification } from '../caller.ts';

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
  /** RFC 7522: a single assertion (base64url, section 2.1) as an authorization grant, for the token endpoint as Recipient. */
  bearer(assertion: string): Promise<Identification>;
}

/** The IdP's metadata cannot be had, or is too old. */
export interface SamlUnavailable {
  readonly ok: false;
  readonly detail: string;
}
