import type { SessionDetail } from '../console/archive.ts';
import { type ErrorRow, errors } from '../exchange/errors.ts';
import type { EndEvent } from '../record/events.ts';
import { type OpenArchive, withAdmin } from './admin-client.ts';
import { type AddCommand, examples } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { facts } from './text.ts';

/** Why a session ended as it did, and what to do about it. */
export interface Explanation {
  readonly session: string;
  readonly verdict: string;
  readonly code: string;
  readonly status: number;
  /** One sentence each. */
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  /** Who can make it go away. */
  readonly fixer: string;
  readonly retry: boolean;
}

/** `sallyport explain SESSION`. */
export const explainCommand =
  (open?: OpenArchive): AddCommand =>
  ({ command, io, action }) => {
    withConfig(command.command('explain'))
      .description('say why a request ended as it did, who can change that, and how')
      .argument('<session>', 'id, from the error message or the header x-sallyport-session')
      .option('--json', 'print JSON')
      .addHelpText('after', examples('sallyport explain 0198c2f4-1d2a-7c3b-8e4f-0123456789ab'))
      .action(
        action(async (id: string, options: ConfigOption & { readonly json?: boolean }) => {
          const path = `/v1/sessions/${encodeURIComponent(id)}/explain`;
          const answer = await withAdmin(configOf(options, io), io.user, open, (ask) => ask('GET', path));
          const explanation = explain((answer as { session: SessionDetail }).session);
          io.stdout.write(options.json ? `${JSON.stringify(explanation, null, 2)}\n` : text(explanation));
          return 0;
        }),
      );
  };

/** Every way in which a session ends. */
const ends: Readonly<Record<EndEvent['how'], string>> = {
  complete: 'It was answered in full.',
  denied: 'A rule denied it; no model was called.',
  answered_by_gate: 'The gateway itself answered it; no model was called.',
  client_gone: 'The caller went away before the answer was complete.',
  interrupted: 'Its answer broke off: the caller or the model went away before the end, and Envoy does not say which.',
  response_refused:
    "The model's answer could not be let through; the caller got an error, or what had come until then.",
  stopped: 'A rule on the response stopped the answer; the caller got an error, or what had come until then.',
  local_reply: 'Envoy answered in place of the model: it could not be reached, or took too long.',
  not_dispatched: 'It was admitted, but no answer of a model ever came: Envoy did not send it on.',
  gate_failed: 'A gate failed, and nothing was let through from then on.',
  unknown: 'The gateway process ended before the answer did.',
};

/** Explains a session by its rules and by its row of the error table. */
export function explain(session: SessionDetail): Explanation {
  const row: ErrorRow | undefined = Object.hasOwn(errors, session.code)
    ? errors[session.code as keyof typeof errors]
    : undefined;
  const base = { session: session.session, verdict: session.verdict, code: session.code, status: session.status };
  const why = because(session);
  if (row !== undefined) return { ...base, what: row.meaning, why, fix: row.fix, fixer: row.fixer, retry: row.retry };
  const what = session.how === '' ? 'It is still open.' : endOf(session.how);
  return { ...base, what, why, fix: '', fixer: '', retry: false };
}

const endOf = (how: string): string =>
  Object.hasOwn(ends, how) ? ends[how as EndEvent['how']] : `It ended as ${how}.`;

function because({ rules, responseRules, message, detail, verdict, how, masked }: SessionDetail): string {
  const decisive = [
    ...rules.filter(({ mode, effect, error }) => mode === 'enforce' && (effect === verdict || error !== undefined)),
    ...(how === 'stopped' ? responseRules : []).filter(({ mode }) => mode === 'enforce'),
  ];
  const named = decisive.map(
    ({ policy, rule, effect, error }) => `${policy}/${rule} (${error === undefined ? effect : `failed: ${error}`})`,
  );
  const maskedCount = Object.values(masked).reduce((sum, count) => sum + count, 0);
  return [
    named.length > 0 ? `Decided by ${named.join(', ')}.` : '',
    detail === '' ? '' : `The record says: ${detail}.`,
    message === '' ? '' : `The caller was told: ${message}`,
    maskedCount > 0 ? `${maskedCount} matches were masked in the answer.` : '',
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

const text = (explanation: Explanation) =>
  facts([
    ['Session', explanation.session],
    [
      'Verdict',
      explanation.code === ''
        ? explanation.verdict
        : `${explanation.verdict} (${explanation.code}, ${explanation.status})`,
    ],
    ['What', explanation.what],
    ['Why', explanation.why],
    ['To do', explanation.fix],
    ['By', explanation.fixer],
    [
      'Retry',
      explanation.fix === ''
        ? ''
        : explanation.retry
          ? 'the same request may succeed later'
          : 'the same request will fail again',
    ],
  ]);
