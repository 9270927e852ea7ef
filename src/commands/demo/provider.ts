import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import Provider, { errors, type GrantContext } from 'oidc-provider';
import { demoAudience, demoSecret, identities, peopleClient, personGrant } from './people.ts';
import { readOrCreateSecret } from './secrets.ts';

/** A demo server that is up. */
export interface DemoServer {
  /** `http://127.0.0.1:<port>`; of the provider, its issuer. */
  readonly url: string;
  close(): Promise<void>;
}

const tokenLifetimeSeconds = 3_600;

/**
 * Starts the demo's OpenID provider on the loopback: discovery, JWKS, and a token endpoint with two grants: the demo's own
 * for people, client_credentials for the service. Access tokens are JWTs (RFC 9068, ES256) with `aud: sallyport`, groups
 * and e-mail. The signing key is made at the first start and kept in `<stateDir>/demo`, mode 0600: tokens survive a restart.
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
  const answer = createProvider(issuer, key).callback();
  server.on('request', (request: IncomingMessage, response) => {
    // A web page whose name was rebound to the loopback would send its own name here.
    if (request.headers.host === `127.0.0.1:${port}` || request.headers.host === `localhost:${port}`)
      answer(request, response);
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
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    adapter: ForgetfulAdapter,
    clients: [
      {
        client_id: peopleClient,
        token_endpoint_auth_method: 'none',
        grant_types: [personGrant],
        redirect_uris: [],
        response_types: [],
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
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:sallyport:demo',
        getResourceServerInfo: () => resource,
      },
    },
    ttl: { AccessToken: tokenLifetimeSeconds, ClientCredentials: tokenLifetimeSeconds },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
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
  token.resourceServer = new provider.ResourceServer('urn:sallyport:demo', resource);
  context.oidc.entity('AccessToken', token);
  context.body = { access_token: await token.save(), expires_in: token.expiration, token_type: token.tokenType };
}

/** Every token is a JWT that its receivers verify by themselves: there is nothing to keep. */
class ForgetfulAdapter {
  async upsert(): Promise<void> {}
  async find(): Promise<undefined> {}
  async consume(): Promise<void> {}
  async destroy(): Promise<void> {}
  async revokeByGrantId(): Promise<void> {}
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
