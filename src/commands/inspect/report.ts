/** What is said of a token, for people. Its signature is never part of it. */
import type { ReportedCheck, TokenReport } from '../../identity/inspect.ts';
import { span } from '../login/whoami.ts';
import { escapeControls, facts } from '../text.ts';

/** A token that has been taken apart, and as much about it as could be checked. */
export interface Inspected {
  readonly header: Readonly<Record<string, unknown>> | undefined;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  readonly checks: readonly ReportedCheck[];
  /** What the gateway says to it; undefined: that cannot be told, and `note` says why. */
  readonly verdict: TokenReport['verdict'] | undefined;
  readonly note: string | undefined;
}

/** Claims that are seconds since 1970 (RFC 7519, section 2: NumericDate). */
const dates = new Set(['exp', 'nbf', 'iat', 'auth_time', 'updated_at']);

export function inspectedText(inspected: Inspected, nowMs: number): string {
  const { header, claims, checks, verdict, note } = inspected;
  const part = (title: string, value: Readonly<Record<string, unknown>> | undefined) =>
    value === undefined
      ? ''
      : `${title}\n${indented(facts(Object.entries(value).map(([name, v]) => [escapeControls(name), shown(name, v, nowMs)])))}\n`;
  const lines = checks.map(({ name, outcome, explanation }) => [`${marks[outcome]}  ${name}`, explanation] as const);
  return [
    part('Header', header),
    part('Claims', claims),
    checks.length === 0 ? '' : `Checks\n${indented(facts(lines))}\n`,
    verdict === undefined ? '' : `${verdictText(verdict)}\n`,
    note === undefined ? '' : `${escapeControls(note)}\n`,
  ].join('');
}

const marks = { pass: 'ok  ', fail: 'FAIL', skipped: '-   ' } as const;

function shown(name: string, value: unknown, nowMs: number): string {
  if (typeof value === 'string') return value;
  const text = JSON.stringify(value);
  if (!dates.has(name) || typeof value !== 'number') return text;
  const date = new Date(value * 1000);
  if (Number.isNaN(date.getTime())) return `${text}  (no date)`;
  const awayMs = date.getTime() - nowMs;
  const when = awayMs < 0 ? `${span(-awayMs)} ago` : `in ${span(awayMs)}`;
  return `${text}  (${date.toISOString().replace('.000Z', 'Z')}, ${when})`;
}

function verdictText(verdict: TokenReport['verdict']): string {
  if (!verdict.ok) return `The gateway refuses it: ${verdict.reason} (docs/errors.md).`;
  const { provider, subject, kind, groups, team } = verdict.caller;
  return escapeControls(
    `The gateway takes it: ${kind} ${provider}/${subject}, groups ${groups.join(', ') || 'none'}, team ${team ?? 'none'}.`,
  );
}

const indented = (text: string) => text.replace(/^(?=.)/gm, '  ');
