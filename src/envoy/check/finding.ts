/** What `sallyport envoy check` says, and the table form of its rules. */
import type { VerifiedByEnvoy } from '../bootstrap.ts';
import type { Place } from './place.ts';

/**
 * `opens`: something can pass the gate, or its answer, unseen. `breaks`: requests or answers are refused or cut that should
 * pass (the gate stays closed). `advice`: it works, and would work better otherwise.
 */
export type Severity = 'opens' | 'breaks' | 'advice';

export interface Finding {
  /** Stable name, such as `ext_authz.failure_mode_allow`. */
  readonly rule: string;
  readonly severity: Severity;
  /** Path in the file. */
  readonly path: string;
  /** Line in the file, from 1; undefined in JSON. */
  readonly line: number | undefined;
  /** The value as it is (`not set` where it is missing). */
  readonly is: string;
  readonly shouldBe: string;
  readonly why: string;
}

export interface CheckOptions {
  /** The gateway's longest wait for an approval, seconds. Default 30, as the gateway's own. */
  readonly approvalsWaitS?: number;
  /** The gateway's `maxRequestBytes`. Default 4 MiB, as the gateway's own. */
  readonly maxRequestBytes?: number;
  /** Identities that the gateway takes from Envoy. Default: those that the checked Envoy is told to send. */
  readonly verifiedByEnvoy?: VerifiedByEnvoy;
}

/** What the rules know of the rest of the configuration. */
export interface Known {
  readonly approvalsWaitS: number;
  readonly maxRequestBytes: number;
  readonly verifiedByEnvoy: VerifiedByEnvoy;
  /** Whose defaults hold where a setting is missing. */
  readonly platform: 'envoy' | 'istio' | 'envoy-gateway';
}

/** One setting and what it must be. Missing settings are judged too: `holds` gets a place without a value. */
export interface Rule {
  readonly rule: string;
  readonly severity: Severity;
  /** Keys down to the setting. */
  readonly at: readonly string[];
  readonly holds: (setting: Place, known: Known) => boolean;
  readonly shouldBe: string | ((known: Known) => string);
  readonly why: string;
}

export type Report = (finding: Finding) => void;

const LONGEST_SHOWN = 120;

export function show(place: Place, unset = 'not set'): string {
  if (!place.exists) return unset;
  const text = JSON.stringify(place.value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

export function finding(
  place: Place,
  what: { readonly rule: string; readonly severity: Severity; readonly shouldBe: string; readonly why: string },
  is: string = show(place),
): Finding {
  const { rule, severity, shouldBe, why } = what;
  return { rule, severity, path: place.where, line: place.line, is, shouldBe, why };
}

export function applyRules(rules: readonly Rule[], config: Place, known: Known, report: Report): void {
  for (const { at, holds, shouldBe, ...rule } of rules) {
    const setting = config.get(...at);
    if (holds(setting, known)) continue;
    report(finding(setting, { ...rule, shouldBe: typeof shouldBe === 'string' ? shouldBe : shouldBe(known) }));
  }
}

export const isUnset = (setting: Place): boolean => !setting.exists;
export const isNotTrue = (setting: Place): boolean => !setting.isTrue;
export const isTrue = (setting: Place): boolean => setting.isTrue;
/** Nothing in it: missing, an empty list or an empty mapping. */
export function isEmpty(setting: Place): boolean {
  return !setting.exists || (setting.items().length === 0 && setting.entries().length === 0);
}

/** `status_on_error` of either filter. */
export const isUnavailable = (setting: Place): boolean => {
  const code = setting.get('code');
  return code.text === 'ServiceUnavailable' || code.number === 503;
};

export const FAIL_OPEN = 'When the gate is down or fails, everything passes: unread, unmasked, unrecorded.';
export const STATUS = 'Envoy’s default looks like a decision of the gate; SDKs retry a 503.';
