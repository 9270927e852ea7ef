/** Workloads that Envoy has identified by mTLS: who they are, and whether they may call without a token. */
import { type Caller, type Identification, refuse } from './caller.ts';
import { type IdentityConfig, meshProvider } from './config.ts';
import { lastSecond } from './dates.ts';
import { teamOf } from './teams.ts';

/** SPIFFE ID §2: trust domain and path; a path has no empty, `.` or `..` segment. 2048 bytes at most. */
const spiffeId = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/;
const maxIdLength = 2048;

interface SpiffeId {
  readonly trustDomain: string;
  readonly path: readonly string[];
}

function parse(uri: string): SpiffeId | undefined {
  const found = uri.length > maxIdLength ? null : spiffeId.exec(uri);
  if (found === null) return undefined;
  const [, trustDomain = '', path = ''] = found;
  const segments = path.split('/').slice(1);
  return segments.includes('.') || segments.includes('..') ? undefined : { trustDomain, path: segments };
}

/** @param pattern As `identity.peers.allow` has it: `*` is one segment, `**` at the end any number, none included. */
function matcher(pattern: string): (id: SpiffeId) => boolean {
  const [trustDomain, ...wanted] = pattern.slice('spiffe://'.length).split('/');
  const isOpen = wanted.at(-1) === '**';
  if (isOpen) wanted.pop();
  return (id) =>
    id.trustDomain === trustDomain &&
    (isOpen ? id.path.length >= wanted.length : id.path.length === wanted.length) &&
    wanted.every((segment, i) => segment === '*' || segment === id.path[i]);
}

/**
 * @returns who a peer is. Nothing is kept: whether the peer may still call is asked anew each time. Envoy does not say when
 * the certificate was issued, so `issuedAtMs` is 0: a peer whose subject is revoked is out until the revocation is forgotten.
 */
export function createPeers(
  config: Pick<IdentityConfig, 'peers' | 'teams'>,
): (uri: string) => Identification | undefined {
  const allowed = config.peers.allow.map(matcher);
  if (allowed.length === 0) return () => undefined;
  return (uri) => {
    const id = parse(uri);
    if (id === undefined || !allowed.some((matches) => matches(id)))
      return refuse('token_missing', 'the mTLS peer is not in identity.peers.allow, and there is no token');
    return { ok: true, caller: peerCaller(uri, id, config.teams) };
  };
}

function peerCaller(uri: string, id: SpiffeId, teams: IdentityConfig['teams']): Caller {
  const groups: readonly string[] = Object.freeze([]);
  return Object.freeze({
    provider: meshProvider,
    issuer: id.trustDomain,
    subject: uri,
    kind: 'peer',
    email: undefined,
    groups,
    team: teamOf(teams, { provider: meshProvider, subject: uri, groups }),
    claims: Object.freeze({}),
    proof: 'peer',
    tokenId: undefined,
    issuedAtMs: 0,
    expiresAtMs: lastSecond * 1000,
  });
}
