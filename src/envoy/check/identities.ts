/** Identities that the gate takes from Envoy: whether they get there, and who else could write them. */
import { JWT_AUTHN } from '../wire.ts';
import { finding, type Known, type Report, type Severity } from './finding.ts';
import type { Filter, Gates } from './order.ts';
import type { Place } from './place.ts';

export interface IdentityScope {
  readonly filters: readonly Filter[];
  readonly gates: Gates;
  /** What else may write metadata: listener and network filters (Envoy falls back on the connection's metadata), routes. */
  readonly writers: readonly Place[];
  /** Where client certificates are judged. */
  readonly sockets: readonly Place[];
  /** Whether `filters` is the whole chain, so that what is missing in it is missing. */
  readonly isWhole: boolean;
}

/** What the configuration of the gateway says, or, where it is not known, what this Envoy is told to send. */
export function takenFrom({ gates }: Pick<IdentityScope, 'gates'>, known: Known): Known['verifiedByEnvoy'] {
  const isSent = ({ config }: Filter): boolean =>
    config
      .get('metadata_context_namespaces')
      .items()
      .some(({ text }) => text === JWT_AUTHN);
  return {
    jwtAuthn: known.verifiedByEnvoy.jwtAuthn || gates.authz.some(isSent),
    peers:
      known.verifiedByEnvoy.peers || gates.authz.some(({ config }) => config.get('include_peer_certificate').isTrue),
  };
}

export function checkIdentities(scope: IdentityScope, known: Known, report: Report): void {
  const taken = takenFrom(scope, known);
  if (taken.jwtAuthn) {
    checkJwtAuthn(scope, report);
    for (const place of scope.writers) checkWriters(place, report);
    for (const filter of before(scope)) {
      checkWriters(filter.config, report);
      checkCode(filter, report);
    }
  }
  if (taken.peers) for (const place of scope.sockets) checkCertificates(place, report);
}

const isJwtAuthn = ({ type }: Filter): boolean => type === 'JwtAuthentication';

/** Filters that a request passes before the gate has read it. */
function before({ filters, gates }: IdentityScope): readonly Filter[] {
  const authz = filters.findIndex((filter) => gates.authz.includes(filter));
  return filters.filter((filter, index) => (authz < 0 || index < authz) && !isJwtAuthn(filter));
}

/** Everything below a place, with the key that it is at. */
function* below(place: Place): Generator<readonly [key: string, place: Place]> {
  for (const [key, child] of place.entries()) {
    yield [key, child];
    yield* below(child);
  }
  for (const item of place.items()) yield* below(item);
}

/** The key in snake_case: protobuf's JSON has camelCase too. */
const snake = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const named = (place: Place, name: string): readonly Place[] =>
  [...below(place)].flatMap(([key, child]) => (snake(key) === name ? [child] : []));

const FORGED = 'Whoever can write there can be anybody: the gate takes what is in this namespace for verified.';

function writer(place: Place, severity: Severity, is: string, report: Report): void {
  const rule = severity === 'opens' ? 'identity.metadata_writer' : 'identity.metadata_writer_unseen';
  report(finding(place, { rule, severity, shouldBe: `nothing but jwt_authn writes ${JWT_AUTHN}`, why: FORGED }, is));
}

/** `metadata_namespace` is what header_to_metadata, json_to_metadata, set_metadata and proxy_protocol call it. */
function checkWriters(place: Place, report: Report): void {
  for (const namespace of named(place, 'metadata_namespace'))
    if (namespace.text === JWT_AUTHN) writer(namespace, 'opens', JWT_AUTHN, report);
  for (const received of named(place, 'receiving_namespaces'))
    if (
      received
        .get('untyped')
        .items()
        .some(({ text }) => text === JWT_AUTHN)
    )
      writer(received, 'opens', JWT_AUTHN, report);
  for (const script of named(place, 'inline_string').concat(named(place, 'inline_code')))
    if (writesJwtAuthn(script.text)) writer(script, 'opens', 'a script that writes it', report);
}

const writesJwtAuthn = (script: string): boolean => /dynamicMetadata/.test(script) && /jwt_authn/.test(script);

/** Code that cannot be read here. */
function checkCode(filter: Filter, report: Report): void {
  const { config, place, type, name } = filter;
  if (!isCode(filter)) return;
  const scripts = [...named(config, 'inline_string'), ...named(config, 'inline_code')];
  if (scripts.some(({ text }) => writesJwtAuthn(text))) return;
  const isSeen = type === 'Lua' && scripts.length > 0 && named(config, 'filename').length === 0;
  if (isSeen && !scripts.some(({ text }) => text.includes('dynamicMetadata'))) return;
  writer(place, 'advice', `${name} (${type}), whose code may write it`, report);
}

/** Filters that run somebody's code. Golang's message is called `Config`, as others' are. */
function isCode({ type, config }: Filter): boolean {
  return ['Lua', 'Wasm', 'DynamicModuleFilter'].includes(type) || config.get('@type').text.includes('.golang.');
}

function checkJwtAuthn(scope: IdentityScope, report: Report): void {
  const { filters, gates, isWhole } = scope;
  const say = (place: Place, rule: string, severity: Severity, is: string, shouldBe: string, why: string): void =>
    report(finding(place, { rule, severity, shouldBe, why }, is));
  const verifying = filters.filter(isJwtAuthn);
  const [authz] = gates.authz;
  const NOTHING = 'The gate gets nothing of what it verifies: callers without a token of their own are refused (401).';
  if (verifying.length === 0 && isWhole && authz !== undefined)
    say(authz.place, 'identity.jwt_authn_missing', 'breaks', 'no jwt_authn', 'jwt_authn before ext_authz', NOTHING);
  for (const filter of verifying) {
    const { config, place } = filter;
    if (authz !== undefined && filters.indexOf(filter) > filters.indexOf(authz))
      say(place, 'identity.jwt_authn_order', 'breaks', 'after ext_authz', 'before ext_authz', NOTHING);
    checkProviders(config, say);
    for (const unverified of named(config, 'extract_only_without_validation'))
      say(
        unverified,
        'identity.jwt_authn_unverified',
        'opens',
        'claims of tokens that nobody has verified',
        'a provider that verifies',
        FORGED,
      );
  }
}

function checkProviders(
  config: Place,
  say: (place: Place, rule: string, severity: Severity, is: string, shouldBe: string, why: string) => void,
): void {
  const providers = config.get('providers').entries();
  const written = providers.filter(([, provider]) => provider.get('payload_in_metadata').text !== '');
  if (written.length === 0)
    say(
      config.get('providers'),
      'identity.payload_in_metadata',
      'breaks',
      'no provider has payload_in_metadata',
      'payload_in_metadata: payload',
      'jwt_authn then verifies tokens and tells nobody whose they are.',
    );
  for (const [name, provider] of written)
    if (provider.get('issuer').text === '')
      say(
        provider.get('issuer'),
        'identity.jwt_authn_issuer',
        'opens',
        `${name} takes any issuer`,
        'the issuer of this provider',
        'Whoever has a key of this provider can sign for any other issuer; the gate cannot see whose key it was.',
      );
}

/** What a client certificate must not be, under whatever name the field goes. */
export const untrustedCertificate = {
  rule: 'identity.accept_untrusted',
  severity: 'opens',
  why: 'A certificate that anybody made for himself then names a peer; the gate cannot see that nobody verified it.',
} as const;
export const expiredCertificate = {
  rule: 'identity.allow_expired_certificate',
  severity: 'opens',
  shouldBe: 'false',
  why: 'A peer’s certificate is good for ever, also one that was taken from it.',
} as const;

function checkCertificates(place: Place, report: Report): void {
  for (const verification of named(place, 'trust_chain_verification'))
    if (verification.oneOf(['VERIFY_TRUST_CHAIN', 'ACCEPT_UNTRUSTED']) === 'ACCEPT_UNTRUSTED')
      report(finding(verification, { ...untrustedCertificate, shouldBe: 'VERIFY_TRUST_CHAIN' }));
  for (const expired of named(place, 'allow_expired_certificate'))
    if (expired.isTrue) report(finding(expired, expiredCertificate));
}
