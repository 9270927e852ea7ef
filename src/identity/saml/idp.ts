/** Where a provider's IdP metadata comes from, and how long it is good. */
import type { SamlConfig } from '../config.ts';
import { HttpProblem } from '../http.ts';
import type { IdpMetadata } from './metadata.ts';
import type { SamlParts, SamlUnavailable } from './saml.ts';

export interface IdpSource {
  /** What is in force now; read or fetched first where there is need. Never rejects. */
  current(): Promise<KnownIdp | SamlUnavailable>;
  /** After a signature that no key fits: newer metadata than `than`, at most one fetch a minute; undefined: there is none. */
  newer(than: KnownIdp): Promise<KnownIdp | undefined>;
}

export interface KnownIdp {
  readonly ok: true;
  readonly idp: IdpMetadata;
}

type Parts = Pick<SamlParts, 'http' | 'readFile' | 'examiner' | 'now'>;

const refreshAfterMs = 3_600_000;
const cooldownMs = 60_000;
const timeoutMs = 10_000;
/** Of one IdP it is some 10 KB; of a federation megabytes. */
const maxBytes = 4_194_304;

export function createIdpSource(config: SamlConfig, parts: Parts): IdpSource {
  const { metadataFile, metadataUrl } = config.idp;
  if (metadataFile !== undefined) return fileSource(metadataFile, config.entityId, parts);
  if (metadataUrl === undefined) throw new Error(`SAML provider ${config.name} has no metadata`);
  return urlSource(metadataUrl, config, parts);
}

/** `ENOENT`, say. */
export const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? 'error');

const unavailable = (detail: string): SamlUnavailable => ({ ok: false, detail });

function expire(known: KnownIdp | SamlUnavailable, nowMs: number): KnownIdp | SamlUnavailable {
  if (!known.ok || known.idp.validUntilMs === undefined || nowMs < known.idp.validUntilMs) return known;
  return unavailable('validUntil of the metadata is in the past');
}

/** Read each time, parsed when it is another text: a changed file counts at once. */
function fileSource(path: string, entityId: string, parts: Parts): IdpSource {
  let last: { readonly text: string; readonly known: KnownIdp | SamlUnavailable } | undefined;
  return {
    async current() {
      let text: string;
      try {
        text = await parts.readFile(path);
      } catch (error) {
        return unavailable(`the metadata file cannot be read (${codeOf(error)})`);
      }
      if (text.length > maxBytes) return unavailable(`the metadata is longer than ${maxBytes} bytes`);
      if (last?.text !== text) {
        const known = await parts.examiner.readMetadata({ kind: 'metadata', text, entityId });
        if (!known.ok && known.unexamined) return unavailable(known.detail);
        last = { text, known };
      }
      return expire(last.known, parts.now());
    },
    newer: async () => undefined,
  };
}

function urlSource(url: string, config: SamlConfig, parts: Parts): IdpSource {
  let known: KnownIdp | undefined;
  let problem = 'the metadata has not been fetched yet';
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let pending: Promise<void> | undefined;

  const load = async (): Promise<void> => {
    const startedAtMs = parts.now();
    const headers = { accept: 'application/samlmetadata+xml, application/xml, text/xml' };
    const answer = await parts.http(url, { headers, timeoutMs, maxBytes });
    if (answer.status !== 200) throw new HttpProblem(`it was answered ${answer.status}`);
    const read = await parts.examiner.readMetadata({ kind: 'metadata', text: answer.text, entityId: config.entityId });
    const now = expire(read, parts.now());
    if (!now.ok) throw new HttpProblem(now.detail);
    known = now;
    fetchedAtMs = startedAtMs;
  };
  /** One at a time. Never rejects. */
  const refresh = (): Promise<void> => {
    triedAtMs = parts.now();
    pending ??= load()
      .catch((error: unknown) => {
        problem = `the metadata cannot be had: ${error instanceof HttpProblem ? error.message : 'unknown problem'}`;
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };
  // A clock that was set back makes an age negative: as good as too old.
  const isWithin = (sinceMs: number, ms: number): boolean => {
    const ageMs = parts.now() - sinceMs;
    return ageMs >= 0 && ageMs < ms;
  };
  const usable = (): KnownIdp | undefined =>
    isWithin(fetchedAtMs, config.idp.metadataMaxAgeSeconds * 1000) ? known : undefined;

  return {
    async current() {
      const isDue = !isWithin(fetchedAtMs, refreshAfterMs) && !isWithin(triedAtMs, cooldownMs);
      const refreshing = pending ?? (isDue ? refresh() : undefined);
      // What is good is used while newer metadata is on its way.
      if (usable() === undefined) await refreshing;
      const found = usable();
      return found === undefined ? unavailable(problem) : expire(found, parts.now());
    },
    async newer(than) {
      if (pending === undefined && isWithin(triedAtMs, cooldownMs)) return undefined;
      await (pending ?? refresh());
      const found = usable();
      return found === undefined || found === than ? undefined : found;
    },
  };
}
