import type { KnownCaller, OauthSources, SamlEnd } from './sources.ts';
import { authorizationCode, saml2Bearer, tokenExchange } from './token.ts';

/** RFC 8414 §2, and how `sallyport login` signs in. */
export function metadata<C extends KnownCaller, P extends SamlEnd>(sources: OauthSources<C, P>): object {
  const { publicUrl, providers, modelsUrl } = sources;
  const signsIn = sources.saml.size > 0;
  return {
    issuer: publicUrl,
    token_endpoint: `${publicUrl}/oauth/token`,
    ...(signsIn ? { authorization_endpoint: `${publicUrl}/oauth/authorize` } : {}),
    revocation_endpoint: `${publicUrl}/oauth/revoke`,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    response_types_supported: signsIn ? ['code'] : [],
    response_modes_supported: ['query'],
    grant_types_supported: [
      tokenExchange,
      ...(sources.assertion === undefined ? [] : [saml2Bearer]),
      ...(signsIn ? [authorizationCode] : []),
    ],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    authorization_response_iss_parameter_supported: true,
    sallyport_whoami_endpoint: `${publicUrl}/oauth/whoami`,
    sallyport_providers: providers,
    sallyport_models_url: modelsUrl,
  };
}
