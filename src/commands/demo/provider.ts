import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import Provider, { errors, type GrantContext } from 'oidc-provider';
import { createMemoryAdapter } from './memory-adapter.ts';
import { demoAudience, demoSecret, identities, peopleClient, personGrant } from './people.ts';
import { readOrCreateSecret } from './secrets.ts';
import { createSignInPage, devicePages, grantFor, showError } from './sign-in-pages.ts';

/** A demo server that is up. */
export interface DemoServer {
  /** `http://127.0.0.1:<port>`; of the provider, its issuer. */
  readonly url: string;
  close(): Promise<void>;
}

/** Every token is for this one (RFC 8707). */
const resourceUri = 'urn:sallyport:demo';
const tokenLifetimeSeconds = 3_600;
const signInLifetimeSeconds = 12 * 3_600;

/** Where the provider sends a browser whose user must say who they are. */
const signInPath = '/sign-in/';

/**
 * Starts the demo's OpenID provider on the loopback: sign-in pages where one picks who one is (authorization code with PKCE,
 * device code, rotating refresh tokens), client_credentials for the service, and a grant of its own that gives a person's
 * token at once. Access tokens are JWTs (RFC 9068, ES256) with `aud: sallyport`, groups and e-mail. The signing key is made at
 * the first start and kept in `<stateDir>/demo`, mode 0600: tokens survive a restart, sign-ins do not.
 *
 * @param options `port` 0 takes any free one.
 */
export async function startDemoProvider(options: {
  readonly port: number;
  readonly stateDir: string;
}): Promise<DemoServer> {
  const key = JSON.parse(
    await readOrCreateSecret(join(options.stateDir, 'demo', 'provider-key.json'), makeKey),
  ) as object;
  const server = createServer();
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const provider = createProvider(issuer, key);
  const answer = provider.callback();
  const signInPage = createSignInPage(provider, signInPath);
  server.on('request', (request: IncomingMessage, response) => {
    // A web page whose name was rebound to the loopback would send its own name here.
    if (request.headers.host === `127.0.0.1:${port}` || request.headers.host === `localhost:${port}`)
      (request.url?.startsWith(signInPath) ? signInPage : answer)(request, response);
    else response.writeHead(421).end();
  });
  return { url: issuer, close: () => closeServer(server) };
}

function createProvider(issuer: string, key: object): Provider {
  const resource = {
    scope: '',
    audience: demoAudience,
    accessTokenTTL: tokenLifetimeSeconds,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  };
  const services = identities.filter(({ kind }) => kind === 'service');
  const provider: Provider = new Provider(issuer, {
    jwks: { keys: [key] },
    adapter: createMemoryAdapter(),
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clients: [
      {
        client_id: peopleClient,
        client_name: 'sallyport login',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: [
          personGrant,
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
        ],
        // RFC 8252, section 7.3: any port.
        redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
        response_types: ['code'],
      },
      ...services.map(({ id }) => ({
        client_id: id,
        client_secret: demoSecret(id),
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      })),
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true, ...devicePages },
      revocation: {
        enabled: true,
        allowedPolicy: (_: unknown, client: { clientId: string }, token: { clientId: string }) =>
          client.clientId === token.clientId,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resourceUri,
        getResourceServerInfo: () => resource,
        useGrantedResource: () => true,
      },
    },
    claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
    interactions: { url: (_: unknown, { uid }: { readonly uid: string }) => `${signInPath}${uid}` },
    issueRefreshToken: (_: unknown, client: { grantTypeAllowed(name: string): boolean }) =>
      client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    ttl: {
      AccessToken: tokenLifetimeSeconds,
      ClientCredentials: tokenLifetimeSeconds,
      DeviceCode: 600,
      Grant: signInLifetimeSeconds,
      IdToken: tokenLifetimeSeconds,
      Interaction: 600,
      RefreshToken: signInLifetimeSeconds,
      Session: 600,
    },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => claimsOf(id) }),
    loadExistingGrant: grantFor(() => provider, resourceUri),
    renderError: showError,
    extraTokenClaims: (_: unknown, token: { accountId?: string; clientId?: string }) => {
      const identity = identities.find(({ id }) => id === (token.accountId ?? token.clientId));
      return (
        identity && { name: identity.name, groups: identity.groups, ...(identity.email && { email: identity.email }) }
      );
    },
  });
  provider.registerGrantType(personGrant, (context) => grantPerson(provider, resource, context), ['person']);
  return provider;
}

async function grantPerson(provider: Provider, resource: object, context: GrantContext): Promise<void> {
  const { params, client } = context.oidc;
  const person = identities.find(({ kind, id }) => kind === 'person' && id === params['person']);
  if (person === undefined) throw new errors.InvalidGrant('the demo knows no such person');
  const token = new provider.AccessToken({ accountId: person.id, client, gty: personGrant });
  token.resourceServer = new provider.ResourceServer(resourceUri, resource);
  context.oidc.entity('AccessToken', token);
  context.body = { access_token: await token.save(), expires_in: token.expiration, token_type: token.tokenType };
}

/** The claims of someone's ID token, as far as the scopes that were asked for have them. */
function claimsOf(id: string): object {
  const identity = identities.find((known) => known.id === id);
  return { sub: id, ...(identity && { name: identity.name, email: identity.email }) };
}

async function makeKey(): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return JSON.stringify({ ...jwk, alg: 'ES256', use: 'sig', kid: await calculateJwkThumbprint(jwk) });
}

/** Closes a server and every connection it has. */
export async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
