import type { SessionDetail } from '../console/archive.ts';
import { streamText } from './stream-text.ts';
import { escapeControls, facts } from './text.ts';

/**
 * One session as text: who, what, verdict, rules, timings, tokens, masked counts, request and response. A stream is shown
 * as what it says, where that can be put together, unless `raw`.
 */
export function showSession(session: SessionDetail, { raw }: { readonly raw: boolean }): string {
  const response = (raw ? undefined : assembled(session)) ?? session.response;
  const { http } = session;
  const head = facts([
    ['Session', session.session],
    ['Time', new Date(session.at).toISOString()],
    ['Who', who(session)],
    ['Groups', session.groups.join(', ')],
    ['Team', session.team],
    ['From', [http.clientAddress, http.userAgent].filter((part) => part !== '').join('  ')],
    ['Request', `${http.method} ${http.host}${http.path}`],
    ['Request id', http.requestId],
    ['Trace id', http.traceId],
    ['Model', session.model && `${session.model} ${session.modelVersion}`.trim()],
    ['Format', session.format && `${session.format}${session.stream ? ', stream' : ''}`],
    ['Tools', session.tools.join(', ')],
    ['Tool called', session.toolCall],
    ['Verdict', verdict(session)],
    ['Message', session.message],
    ['Reason', session.detail],
    ['Policies', session.commit === '' ? session.revision : `${session.revision} (commit ${session.commit})`],
    ['Status', session.status === 0 ? undefined : String(session.status)],
    ['End', session.how || 'open'],
    ['Gate', session.gateUs === undefined ? undefined : `${(session.gateUs / 1_000).toFixed(2)} ms`],
    ['First byte', milliseconds(session.firstByteMs)],
    ['Duration', milliseconds(session.durationMs)],
    ['Tokens', tokens(session)],
    ['Response', session.chunks === 0 ? undefined : `${session.bytes} bytes in ${session.chunks} chunks`],
    ['Withheld', withheld(session)],
    ['Found in request', counts(session.findings)],
    ['Filters', counts(session.filters)],
    ['Masked in request', counts(session.maskedRequest)],
    ['Masked', counts(session.masked)],
  ]);
  return (
    head +
    rules(session) +
    limits(session) +
    guards(session) +
    content('Request', session.request) +
    content('Response', response)
  );
}

/** What a stream says; undefined where the response is none, or cannot be put together. */
export const assembled = ({ stream, response }: SessionDetail): string | undefined =>
  stream && response !== undefined ? streamText(response) : undefined;

function who(session: SessionDetail): string {
  if (session.subject === '') return 'nobody (refused before there was a caller)';
  const mail = session.email === '' ? '' : ` <${session.email}>`;
  return `${session.subject}${mail} (${session.kind}, by ${session.provider})`;
}

function verdict({ verdict, code }: SessionDetail): string {
  return code === '' ? verdict : `${verdict} (${code})`;
}

const milliseconds = (value: number | undefined) => (value === undefined ? undefined : `${Math.round(value)} ms`);

function tokens({ inputTokens, outputTokens }: SessionDetail): string | undefined {
  if (inputTokens === undefined && outputTokens === undefined) return undefined;
  return `${inputTokens ?? 'unknown'} in, ${outputTokens ?? 'unknown'} out`;
}

function withheld({ withheld: kept }: SessionDetail): string | undefined {
  if (kept === undefined) return undefined;
  const found = counts(kept.findings);
  const events = kept.events === 0 ? '' : ` in ${kept.events} events`;
  return `${kept.bytes} bytes${events}${found === '' ? '' : `, with ${found}`}`;
}

function counts(found: Readonly<Record<string, number>>): string {
  const entries = Object.entries(found).toSorted(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return entries.map(([detector, count]) => `${detector} ${count}`).join(', ');
}

function rules({ rules: onRequest, responseRules }: SessionDetail): string {
  return listed('Rules that matched', onRequest.map(rule)) + listed('Rules on the response', responseRules.map(rule));
}

function rule({ policy, rule: name, effect, mode, severity, labels, error }: SessionDetail['rules'][number]): string {
  const more = [
    mode === 'dryRun' ? ', on trial' : '',
    severity === undefined ? '' : `, severity ${severity}`,
    ...Object.entries(labels ?? {}).map(([key, value]) => `, ${key}=${value}`),
    error === undefined ? '' : ` (failed: ${error})`,
  ];
  return `${policy}/${name}: ${effect}${more.join('')}`;
}

function limits(session: SessionDetail): string {
  const line = ({ policy, rule: name, mode, unit, limit, remaining, windowMs, exceeded }: Limit) =>
    `${policy}/${name}: ${exceeded ? 'used up' : `${remaining} left`} of ${limit} ${unit} in ${windowMs / 1_000} s${mode === 'dryRun' ? ', on trial' : ''}`;
  return listed('Limits', session.limits.map(line));
}
type Limit = SessionDetail['limits'][number];

function guards(session: SessionDetail): string {
  const said = ({ flagged, categories, code }: SessionDetail['guards'][string]) => {
    if (code !== '') return `could not be asked (${code})`;
    return flagged ? `flagged ${categories.join(', ')}`.trim() : 'nothing';
  };
  return listed(
    'Guards',
    Object.entries(session.guards).map(([name, outcome]) => `${name}: ${said(outcome)}`),
  );
}

function listed(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `\n${title}\n${lines.map((line) => `  ${escapeControls(line)}\n`).join('')}`;
}

function content(title: string, text: string | undefined): string {
  if (text === undefined) return `\n${title}\n  (no content on the record)\n`;
  const lines = escapeControls(text, { keepNewlines: true }).replace(/\n+$/, '').split('\n');
  return `\n${title}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
