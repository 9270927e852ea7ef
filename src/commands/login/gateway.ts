import { existsSync } from 'node:fs';
import {
  allowInsecureRequests,
  Configuration,
  customFetch,
  genericGrantRequest,
  None,
  type ServerMetadata,
} from 'openid-client';
import { z } from 'zod';
import { CliError, exitCodes, type Io } from '../cli.ts';
import { type ConfigOption, configOf } from '../config-option.ts';
import { escapeControls, shellWord } from '../text.ts';
import { boundedFetch } from './bounded-fetch.ts';
import type { Credentials } from './credentials.ts';
import { type Party, problemOf, unreachable } from './problems.ts';

/** OAuth client that this CLI is at the gateway: public, no secret. */
const gatewayClient = 'sallyport-cli';
const timeoutMs = 10_000;
/** Longest that a token of a gateway is good, seconds (`identity.tokens.lifetime`). */
const maxLifetimeSeconds = 3600;

const isLoopback = (url: URL) => ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);

/** True for https, and for http on this machine. */
export const isSafe = (text: string): boolean => {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url)));
};

/** Messages and questions show it: it must not move the cursor, hide text, or add a line. */
const printable = z.string().refine((text) => escapeControls(text) === text, 'has control characters');

const safeUrl = z.string().refine(isSafe, 'is no https URL');

const providerSchema = z.object({
  name: printable.min(1),
  kind: z.enum(['oidc', 'saml']),
  issuer: printable.optional(),
  client_id: printable.optional(),
  client_secret: z.string().optional(),
  scopes: z.array(printable).default([]),
  flow: z.enum(['browser', 'device']).default('browser'),
  resource: printable.optional(),
  exchange: z.enum(['access_token', 'id_token']).default('access_token'),
});

/** How one signs in: an entry of `sallyport_providers` in the gateway's metadata. */
export type LoginProvider = z.output<typeof providerSchema>;

/** RFC 8414, section 2, and what is ours. Other members are left alone. */
const metadataSchema = z.looseObject({
  issuer: printable,
  token_endpoint: safeUrl,
  authorization_endpoint: safeUrl.optional(),
  revocation_endpoint: safeUrl.optional(),
  jwks_uri: safeUrl.optional(),
  sallyport_providers: z.array(providerSchema),
  sallyport_models_url: z.string().optional(),
});

/** A gateway that has said how one signs in. */
export interface Gateway extends Party {
  /** Its `issuer`, which is its URL. */
  readonly url: string;
  /** Its OAuth endpoints. */
  readonly oauth: Configuration;
  readonly providers: readonly LoginProvider[];
  /** Where models are called; undefined: it does not say. */
  readonly modelsUrl: string | undefined;
}

/** The gateway that is meant, and by whom. */
export interface ChosenGateway {
  readonly url: string;
  /** Where the user did not say it: what did, for people. */
  readonly namedBy: string | undefined;
  /** Whether the user named it: an option, the environment. What lies in the current folder may be anybody's. */
  readonly isNamed: boolean;
}

/**
 * Which gateway is meant: `--gateway`, `--config`, `$SALLYPORT_GATEWAY`, `publicUrl` of a sallyport.yaml here, the one of the
 * last sign-in. Throws CliError.
 */
export function chooseGateway(options: GatewayOptions, io: Io, credentials: Pick<Credentials, 'read'>): ChosenGateway {
  const named = options.gateway ?? (options.config === undefined ? io.env['SALLYPORT_GATEWAY'] : undefined);
  if (named) return { url: checked(named), namedBy: undefined, isNamed: true };
  const file = options.config ?? io.env['SALLYPORT_CONFIG'];
  if (options.config !== undefined || existsSync(file ?? 'sallyport.yaml')) {
    const namedBy = `publicUrl in ${file ?? 'sallyport.yaml of this folder'}`;
    return { url: checked(configOf(options, io).publicUrl), namedBy, isNamed: file !== undefined };
  }
  const { last } = credentials.read();
  if (last !== undefined) return { url: last, namedBy: 'the last sign-in', isNamed: false };
  throw new CliError(
    exitCodes.usage,
    'No gateway is named, and you have not signed in to one yet.',
    'Name it: --gateway https://…, or set SALLYPORT_GATEWAY.',
  );
}

type GatewayOptions = ConfigOption & { readonly gateway?: string };

/** As `chooseGateway`, for what the user has signed in to. */
export const gatewayUrl = (options: GatewayOptions, io: Io, credentials: Pick<Credentials, 'read'>): string =>
  chooseGateway(options, io, credentials).url;

/**
 * As `chooseGateway`, for what sends a token: a gateway that nobody but a file in this folder names must be one that the user has
 * signed in to. Throws CliError.
 */
export function trustedGateway(options: GatewayOptions, io: Io, credentials: Pick<Credentials, 'read'>): string {
  const { url, namedBy, isNamed } = chooseGateway(options, io, credentials);
  if (isNamed || credentials.read().gateways[url] !== undefined) return url;
  throw new CliError(
    exitCodes.failed,
    `You are not signed in to ${url}, which ${namedBy} names.`,
    'If that is the gateway you mean, run `sallyport login` here; or name another with --gateway.',
  );
}

function checked(text: string): string {
  const url = URL.parse(text);
  if (url === null || !isSafe(text) || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new CliError(
      exitCodes.usage,
      `${text} is not the URL of a gateway.`,
      'It must begin with https:// (http:// only for this machine), without user, query or fragment.',
    );
  return text.replace(/\/+$/, '');
}

/** Reads the gateway's metadata (RFC 8414, section 3). Throws CliError. */
export async function readGateway(url: string): Promise<Gateway> {
  const party = { name: 'The gateway', url };
  const { host, protocol, pathname } = new URL(url);
  const wellKnown = '/.well-known/oauth-authorization-server';
  const path = pathname === '/' ? '' : pathname;
  const places = [`${protocol}//${host}${wellKnown}${path}`, ...(path === '' ? [] : [`${url}${wellKnown}`])];
  for (const place of places) {
    const found = await readJson(place, party);
    if (found !== undefined) return gatewayOf(url, found.json, found.clockAheadMs);
  }
  throw new CliError(
    exitCodes.failed,
    `${url} answers, but it is no gateway that gives out tokens (no ${wellKnown} there).`,
    "Check the URL: it is the gateway's publicUrl, not the address of the models. A gateway older than this sallyport has none.",
  );
}

async function readJson(place: string, party: Party) {
  try {
    const response = await boundedFetch(place, {
      headers: { accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    const date = Date.parse(response.headers.get('date') ?? '');
    const json = response.status === 200 ? parse(text) : undefined;
    return json === undefined ? undefined : { json, clockAheadMs: Number.isNaN(date) ? undefined : date - Date.now() };
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unreachable(party, error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function gatewayOf(url: string, json: unknown, clockAheadMs: number | undefined): Gateway {
  const parsed = metadataSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CliError(
      exitCodes.failed,
      `The metadata of ${url} is not that of a gateway of this version (${issue?.path.join('.')}: ${issue?.message}).`,
      'Check the URL, and that gateway and sallyport are of the same version.',
    );
  }
  const metadata = parsed.data;
  // RFC 8414, section 3.3: otherwise one server could speak for another.
  if (metadata.issuer !== url)
    throw new CliError(
      exitCodes.usage,
      `The gateway at ${url} calls itself ${metadata.issuer}.`,
      `If you trust that address, use it: --gateway ${shellWord(metadata.issuer)} (or whoever runs it corrects publicUrl).`,
    );
  for (const name of ['token_endpoint', 'authorization_endpoint', 'revocation_endpoint', 'jwks_uri'] as const) {
    const endpoint = metadata[name];
    if (endpoint !== undefined && new URL(endpoint).origin !== new URL(url).origin)
      throw new CliError(
        exitCodes.failed,
        `The gateway names a ${name} on another host, ${new URL(endpoint).host}.`,
        'Tokens go to the gateway itself only. Whoever runs it must correct publicUrl.',
      );
  }
  return {
    name: 'The gateway',
    url,
    clockAheadMs,
    oauth: configuration(metadata as ServerMetadata),
    providers: metadata.sallyport_providers,
    modelsUrl: URL.parse(metadata.sallyport_models_url ?? '')?.href.replace(/\/+$/, ''),
  };
}

function configuration(metadata: ServerMetadata): Configuration {
  const oauth = new Configuration(metadata, gatewayClient, undefined, None());
  oauth.timeout = timeoutMs / 1000;
  oauth[customFetch] = boundedFetch;
  // Endpoints are https, or http on the loopback: checked above.
  allowInsecureRequests(oauth);
  return oauth;
}

/** A token of the gateway. Times are epoch milliseconds of this machine. */
export interface GatewayToken {
  readonly token: string;
  readonly obtainedAtMs: number;
  readonly expiresAtMs: number;
}

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

/**
 * Exchanges a token of an identity provider for one of the gateway's own (RFC 8693, section 2.1). Throws CliError.
 * @param subject `type` is the last part of the token type's URN (section 3)
 */
export async function exchange(
  gateway: Gateway,
  subject: { readonly token: string; readonly type: 'access_token' | 'id_token' | 'jwt' },
): Promise<GatewayToken> {
  try {
    const answer = await genericGrantRequest(gateway.oauth, tokenExchange, {
      subject_token: subject.token,
      subject_token_type: `urn:ietf:params:oauth:token-type:${subject.type}`,
    });
    return gatewayToken(gateway, answer);
  } catch (error) {
    throw problemOf(error, gateway);
  }
}

/** Reads an answer of the gateway's token endpoint. Throws CliError. */
export function gatewayToken(
  gateway: Party,
  answer: { readonly access_token: string; readonly expires_in?: number | undefined },
): GatewayToken {
  const obtainedAtMs = Date.now();
  const { access_token: token, expires_in: seconds = 0 } = answer;
  if (!(seconds > 0 && seconds <= maxLifetimeSeconds))
    throw new CliError(
      exitCodes.failed,
      'The gateway gave a token and did not say how long it is good, or no time that can be.',
      `Is ${gateway.url} a sallyport gateway of this version?`,
    );
  // RFC 6750, section 2.1. It is printed, and sent in a header.
  if (!/^[\w.~+/-]+=*$/.test(token))
    throw new CliError(
      exitCodes.failed,
      'The gateway gave a token with characters that no token has.',
      `Is ${gateway.url} a sallyport gateway of this version?`,
    );
  return { token, obtainedAtMs, expiresAtMs: obtainedAtMs + seconds * 1000 };
}
