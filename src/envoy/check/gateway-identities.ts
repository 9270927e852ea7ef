/** Envoy Gateway: identities that the gate takes from Envoy, by the fields of its own API. */
import { JWT_AUTHN } from '../wire.ts';
import { finding, type Known, type Report } from './finding.ts';
import { expiredCertificate, takenFrom, untrustedCertificate } from './identities.ts';
import type { Gates } from './order.ts';
import type { Place } from './place.ts';

const AUTHZ = 'envoy.filters.http.ext_authz';

export function checkGatewayIdentities(
  ofKind: (kind: string) => readonly Place[],
  gates: Gates,
  known: Known,
  report: Report,
): void {
  const taken = takenFrom({ gates }, known);
  if (taken.peers) for (const policy of ofKind('ClientTrafficPolicy')) checkMode(policy, report);
  if (taken.jwtAuthn) checkFilterOrder(ofKind('EnvoyProxy'), gates, report);
}

function checkMode(policy: Place, report: Report): void {
  const validation = policy.get('spec', 'tls', 'clientValidation');
  const mode = validation.get('mode');
  if (['Request', 'RequireAny'].includes(mode.text))
    report(finding(mode, { ...untrustedCertificate, shouldBe: 'VerifyIfGiven or RequireAndVerify' }));
  const expired = validation.get('allowExpiredCertificate');
  if (expired.isTrue) report(finding(expired, expiredCertificate));
}

/** By default Envoy Gateway puts ext_authz before jwt_authn (internal/xds/translator/httpfilters.go). */
function checkFilterOrder(proxies: readonly Place[], gates: Gates, report: Report): void {
  const order = proxies.flatMap((proxy) => proxy.get('spec', 'filterOrder').items());
  const moved = order.some(
    (entry) =>
      (entry.get('name').text === JWT_AUTHN && entry.get('before').text === AUTHZ) ||
      (entry.get('name').text === AUTHZ && entry.get('after').text === JWT_AUTHN),
  );
  const place = proxies[0]?.get('spec', 'filterOrder') ?? gates.authz[0]?.place;
  if (moved || place === undefined) return;
  report(
    finding(
      place,
      {
        rule: 'identity.jwt_authn_order',
        severity: 'breaks',
        shouldBe: `{name: ${JWT_AUTHN}, before: ${AUTHZ}}`,
        why: 'By default ext_authz comes first: the gate gets nothing of what jwt_authn verifies.',
      },
      'the default order',
    ),
  );
}
