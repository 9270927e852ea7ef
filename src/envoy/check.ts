/**
 * `sallyport envoy check`: reads an Envoy bootstrap, an Envoy `config_dump`, or Kubernetes objects of Istio and Envoy
 * Gateway, and names every setting that opens or breaks the gate. What Envoy ends up with is in its config_dump only:
 * that is the file to check when a control plane writes the configuration.
 */
import { checkEnvoyDocument, isBootstrap, isConfigDump } from './check/envoy.ts';
import type { CheckOptions, Finding, Severity } from './check/finding.ts';
import { checkGatewayObjects } from './check/gateway.ts';
import { checkIstioObjects } from './check/istio.ts';
import { type Place, readPlaces } from './check/place.ts';

export type { CheckOptions, Finding };

export type EnvoyCheck = { readonly findings: readonly Finding[] } | { readonly error: string };

const ORDER: readonly Severity[] = ['opens', 'breaks', 'advice'];

/** Never throws for what is in the text. Findings come with the worst first, in the order of the file. */
export function checkEnvoyConfig(text: string, options: CheckOptions = {}): EnvoyCheck {
  const read = readPlaces(text);
  if (!read.ok) return { error: `it is neither JSON nor YAML: ${read.error}` };
  const known = {
    approvalsWaitS: options.approvalsWaitS ?? 30,
    maxRequestBytes: options.maxRequestBytes ?? 4_194_304,
    verifiedByEnvoy: options.verifiedByEnvoy ?? { peers: false, jwtAuthn: false },
  };
  const findings = new Map<string, Finding>();
  const report = (finding: Finding): void => {
    findings.set(`${finding.rule} ${finding.path}`, finding);
  };
  const objects = read.documents.filter((document) => document.get('kind').text !== '');
  const envoys = read.documents.filter((document) => isBootstrap(document) || isConfigDump(document));
  for (const document of envoys) checkEnvoyDocument(document, { ...known, platform: 'envoy' }, report);
  const isIstio = objects.some((object) => isOf(object, 'istio.io'));
  const isGateway = objects.some((object) => isOf(object, 'gateway.envoyproxy.io'));
  if (isIstio) checkIstioObjects(objects, { ...known, platform: 'istio' }, report);
  if (isGateway) checkGatewayObjects(objects, { ...known, platform: 'envoy-gateway' }, report);
  if (envoys.length === 0 && !isIstio && !isGateway)
    return {
      error:
        'it is no Envoy bootstrap, no config_dump, and has no object of Istio (EnvoyFilter, …) or Envoy Gateway (SecurityPolicy, …)',
    };
  return { findings: [...findings.values()].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity)) };
}

function isOf(object: Place, group: string): boolean {
  return object.get('apiVersion').text.split('/')[0]?.endsWith(group) ?? false;
}
