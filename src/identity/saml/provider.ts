/** One SAML 2.0 identity provider: sign-in by browser, and assertions of API callers. */
import { createPrivateKey, hash, X509Certificate } from 'node:crypto';
import { type Identification, refuse } from '../caller.ts';
import type { SamlConfig } from '../config.ts';
import type { Assertion } from './assertion.ts';
import { checkAssertion, type Rules } from './check.ts';
import type { MessageJob } from './examine.ts';
import { codeOf, createIdpSource, type KnownIdp } from './idp.ts';
import { personOf } from './person.ts';
import { type ServiceProvider, writeMetadata, writeRequest } from './request.ts';
import { SamlFileProblem, type SamlParts, type SamlProvider } from './saml.ts';

/**
 * Reads the key and certificate for encrypted assertions, and a metadata file, once to see that they are good; metadata from
 * a URL is fetched when it is first needed, so that an IdP that is down stops nobody else.
 *
 * @throws SamlFileProblem for a file that cannot be used: the gateway must not start with it.
 */
export async function createSamlProvider(config: SamlConfig, parts: SamlParts): Promise<SamlProvider> {
  const base = `${parts.publicUrl}/saml/${config.name}`;
  const decryption = await readDecryption(config, parts);
  const sp: ServiceProvider = {
    entityId: config.audience ?? `${base}/metadata`,
    acs: `${base}/acs`,
    encryptionCertificate: decryption?.certificate,
  };
  const metadata = writeMetadata(sp);
  const source = createIdpSource(config, parts);
  if (config.idp.metadataFile !== undefined) {
    const first = await source.current();
    if (!first.ok) throw new SamlFileProblem('idp.metadataFile', config.idp.metadataFile, first.detail);
  }

  const examine = async (message: Pick<MessageJob, 'kind' | 'encoded'>, target: Target): Promise<Identification> => {
    const known = await source.current();
    if (!known.ok) return refuse('keys_unavailable', known.detail);
    const rules = rulesOf(config, target, parts.now());
    const ask = (idp: KnownIdp) =>
      parts.examiner.examine({
        ...message,
        maxBytes: config.maxBytes,
        rules,
        certificates: idp.idp.certificates,
        decryptionKey: decryption?.key,
      });
    let examined = await ask(known);
    if (!examined.ok && examined.keyUnknown) {
      const newer = await source.newer(known);
      if (newer !== undefined) examined = await ask(newer);
    }
    if (!examined.ok) return refuse(examined.reason, examined.detail);
    // It may have waited: remembering it must outlast every moment at which it can still be taken.
    const nowMs = parts.now();
    const late = checkAssertion(examined.assertion, { ...rules, nowMs });
    if (late !== undefined) return late;
    const caller = personOf(examined.assertion, config, parts.teamOf, nowMs);
    if ('ok' in caller) return caller;
    if (!(await isFirstUse(examined.assertion, rules, parts)))
      return refuse('token_invalid', 'the assertion has been used before');
    return { ok: true, caller };
  };

  return {
    name: config.name,
    metadata: () => metadata,
    async begin(relayState) {
      const known = await source.current();
      return known.ok ? writeRequest(sp, known.idp.ssoUrl, relayState) : known;
    },
    async check() {
      const known = await source.current();
      return known.ok ? undefined : known.detail;
    },
    async finish(samlResponse, requestId) {
      if (requestId === '') return refuse('token_invalid', 'there was no request: sign-in begins here, not at the IdP');
      return examine(
        { kind: 'response', encoded: samlResponse },
        { audiences: [sp.entityId], recipient: sp.acs, requestId },
      );
    },
    async bearer(assertion) {
      if (!config.bearerAssertions) return refuse('token_invalid', 'bearerAssertions is off for this provider');
      const { tokenEndpoint } = parts;
      return examine(
        { kind: 'assertion', encoded: assertion },
        // RFC 7522 §3 item 2: the token endpoint may stand for our name.
        { audiences: [sp.entityId, tokenEndpoint], recipient: tokenEndpoint, requestId: undefined },
      );
    },
  };
}

type Target = Pick<Rules, 'audiences' | 'recipient' | 'requestId'>;

const rulesOf = (config: SamlConfig, target: Target, nowMs: number): Rules => ({
  ...target,
  entityId: config.entityId,
  maxAgeMs: config.maxAgeSeconds * 1000,
  leewayMs: config.leewaySeconds * 1000,
  nowMs,
});

/** Remembered until no replica would take it for its age, whatever their clocks within the leeway. */
function isFirstUse(assertion: Assertion, rules: Rules, parts: SamlParts): Promise<boolean> {
  const name = hash('sha256', `${assertion.issuer}\n${assertion.id}`, 'base64url');
  const expiresAtMs = assertion.issuedAtMs + rules.maxAgeMs + 3 * rules.leewayMs + 1000;
  return parts.state.putIfAbsent(`replay/saml/${name}`, '1', { expiresAtMs });
}

async function readDecryption(
  config: SamlConfig,
  parts: SamlParts,
): Promise<{ readonly key: string; readonly certificate: string } | undefined> {
  const { decryptionKeyFile, decryptionCertFile } = config;
  if (decryptionKeyFile === undefined || decryptionCertFile === undefined) return undefined;
  const read = async <T>(option: string, file: string, parse: (text: string) => T) => {
    const text = await parts.readFile(file).catch((cause: unknown) => {
      throw new SamlFileProblem(option, file, `it cannot be read (${codeOf(cause)})`, { cause });
    });
    try {
      return { text, parsed: parse(text) };
    } catch (cause) {
      throw new SamlFileProblem(option, file, 'it is not PEM, or of a kind that is not known', { cause });
    }
  };
  const key = await read('decryptionKeyFile', decryptionKeyFile, createPrivateKey);
  const certificate = await read('decryptionCertFile', decryptionCertFile, (text) => new X509Certificate(text));
  if (key.parsed.asymmetricKeyType !== 'rsa' || !certificate.parsed.checkPrivateKey(key.parsed))
    throw new SamlFileProblem('decryptionKeyFile', decryptionKeyFile, 'it is not the RSA key of decryptionCertFile');
  return { key: key.text, certificate: certificate.text };
}
