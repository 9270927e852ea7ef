/** What the OAuth routes are made of. All of it is passed in; the console knows callers only as far as it shows them. */

/** Who somebody is. */
export interface KnownCaller {
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  readonly kind: string;
  readonly email: string | undefined;
  readonly groups: readonly string[];
  readonly team: string | undefined;
  readonly proof: string;
  readonly tokenId: string | undefined;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** `reason`: row of the error table. `detail` is for the record only. */
export interface Disproven {
  readonly ok: false;
  readonly reason: string;
  readonly detail: string;
}
export type Proven<C> = { readonly ok: true; readonly caller: C } | Disproven;

export interface IssuedCredential {
  readonly token: string;
  readonly tokenId: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** An entry of `sallyport_providers`: how `sallyport login` signs in there. */
export interface LoginProvider {
  readonly name: string;
  readonly kind: 'oidc' | 'saml';
  readonly issuer: string;
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly scopes?: readonly string[];
  readonly flow?: 'browser' | 'device';
  readonly resource?: string;
  readonly exchange?: 'access_token' | 'id_token';
}

export type Grant = 'token_exchange' | 'saml2_bearer' | 'authorization_code' | 'sign_in' | 'revocation' | 'whoami';

/** What goes on the record of one request. */
export interface CredentialFacts<C> {
  readonly session: string;
  readonly action: 'issued' | 'refused' | 'revoked';
  readonly grant: Grant;
  readonly caller?: C;
  readonly tokenId?: string;
  readonly expiresAtMs?: number;
  readonly code?: string;
  readonly detail?: string;
  readonly clientAddress: string;
}

/** What the client of an authorization request asked for. */
export interface SignInRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly state: string;
}

/** Sign-ins by SAML under way (identity/sign-in). All reject when the state cannot be reached. */
export interface SignInSteps<C, P> {
  begin(
    provider: P,
    request: SignInRequest,
  ): Promise<
    | { readonly ok: true; readonly url: string; readonly handle: string; readonly browserSecret: string }
    | { readonly ok: false; readonly detail: string }
  >;
  arrive(
    provider: P,
    handle: string,
    samlResponse: string,
  ): Promise<
    | { readonly ok: true; readonly ticket: string }
    | { readonly ok: false; readonly reason: 'sign_in_unknown' }
    | Disproven
  >;
  present(
    ticket: string,
    browserSecrets: readonly string[],
  ): Promise<
    | { readonly ok: true; readonly caller: C; readonly asked: SignInRequest; readonly seal: string }
    | { readonly ok: false; readonly reason: string }
  >;
  proceed(
    ticket: string,
    browserSecrets: readonly string[],
    seal: string,
  ): Promise<
    | { readonly ok: true; readonly code: string; readonly asked: SignInRequest; readonly browserSecret: string }
    | { readonly ok: false; readonly reason: string }
  >;
  redeem(redemption: {
    readonly code: string;
    readonly clientId: string;
    readonly redirectUri: string;
    readonly codeVerifier: string;
  }): Promise<
    | { readonly ok: true; readonly caller: C; claim(tokenId: string, expiresAtMs: number): Promise<boolean> }
    | {
        readonly ok: false;
        readonly detail: string;
        readonly gave?: {
          readonly provider: string;
          readonly subject: string;
          readonly tokenId: string;
          readonly expiresAtMs: number;
          /** False: somebody else took it back. */
          forget(): Promise<boolean>;
        };
      }
  >;
}

export interface SamlEnd {
  readonly name: string;
  metadata(): string;
}

export interface OauthSources<C extends KnownCaller, P extends SamlEnd> {
  /** `iss`, without a slash at its end. */
  readonly publicUrl: string;
  /** Values of `resource` and `audience` that mean this gateway. */
  readonly targets: readonly string[];
  readonly modelsUrl: string;
  readonly nowMs: () => number;
  readonly newSession: () => string;
  readonly providers: readonly LoginProvider[];
  readonly jwks: () => { readonly keys: readonly object[] };
  /** Says whose a provider's token is (RFC 8693). Reason `own_token`: the gateway issued it. */
  readonly subjectToken: (token: string, type: 'access_token' | 'id_token') => Promise<Proven<C>>;
  /** Says whose a SAML assertion is (RFC 7522); undefined: none are taken. */
  readonly assertion: ((assertion: string) => Promise<Proven<C>>) | undefined;
  /** Says who sends a request, as the request gate does. */
  readonly identify: (request: Request) => Promise<Proven<C>>;
  /** Says whose one of our own tokens is; anything else is not. */
  readonly ownToken: (token: string) => Promise<Proven<C>>;
  readonly issue: (caller: C) => Promise<IssuedCredential>;
  /** `holder`: whose token it is, who gives it back. */
  readonly revokeToken: (
    tokenId: string,
    expiresAtMs: number,
    holder: { readonly provider: string; readonly subject: string },
  ) => Promise<void>;
  /** Resolves once it is durable; what is refused is not waited for. Rejects when there is no record. */
  readonly record: (facts: CredentialFacts<C>) => Promise<void>;
  /** How the request gate answers a reason. */
  readonly refusal: (
    reason: string,
    session: string,
  ) => {
    readonly status: number;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly body: string;
    /** One sentence, for the caller. */
    readonly meaning: string;
  };
  /** Whether what was thrown is an outage (503) and not a bug. */
  readonly isOutage: (error: unknown) => boolean;
  readonly failed: (session: string, error: unknown) => void;
  readonly saml: ReadonlyMap<string, P>;
  readonly signIns: SignInSteps<C, P>;
}
