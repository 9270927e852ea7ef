import type { SessionDetail, SessionSummary } from '../console/archive.ts';
import { type OpenArchive, withAdmin } from './admin-client.ts';
import { type AddCommand, ageMs, examples, type Io, oneOf, type Program, wholeNumber } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { assembled, showSession } from './session-text.ts';
import { type Column, table } from './text.ts';

const verdicts = ['allow', 'deny', 'requireApproval', 'limit', 'refused'] as const;

interface ListOptions extends ConfigOption {
  readonly limit: number;
  readonly who?: string;
  readonly model?: string;
  readonly verdict?: string;
  readonly since?: number;
  readonly json?: boolean;
}

interface ShowOptions extends ConfigOption {
  readonly raw?: boolean;
  readonly json?: boolean;
}

/** `sallyport sessions list|show`. */
export const sessionsCommand =
  (open?: OpenArchive): AddCommand =>
  (program) => {
    const sessions = program.command.command('sessions').description('requests on the record');
    addList(program, sessions.command('list'), open);
    addShow(program, sessions.command('show'), open);
  };

function addList({ io, action }: Program, command: Program['command'], open: OpenArchive | undefined): void {
  withConfig(command)
    .description('list the newest requests')
    .option('-n, --limit <count>', 'at most so many', wholeNumber(1, 1000), 20)
    .option('--who <subject>', 'of this caller (subject or e-mail)')
    .option('--model <name>', 'of this model')
    .option('--verdict <verdict>', 'allow, deny, requireApproval, limit or refused', oneOf(...verdicts))
    .option('--since <age>', 'not older than this, such as 30m, 12h, 7d', ageMs)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('sallyport sessions list', 'sallyport sessions list --who sam@example.com --verdict deny --since 1d'),
    )
    .action(
      action(async (options: ListOptions) => {
        const query = new URLSearchParams({ limit: String(options.limit) });
        if (options.who !== undefined) query.set('who', options.who);
        if (options.model !== undefined) query.set('model', options.model);
        if (options.verdict !== undefined) query.set('verdict', options.verdict);
        if (options.since !== undefined) query.set('sinceMs', String(Date.now() - options.since));
        const answer = await withAdmin(configOf(options, io), io.user, open, (ask) =>
          ask('GET', `/v1/sessions?${query}`),
        );
        const { sessions } = answer as { sessions: readonly SessionSummary[] };
        io.stdout.write(options.json ? `${JSON.stringify(sessions, null, 2)}\n` : listText(sessions, io));
        return 0;
      }),
    );
}

function addShow({ io, action }: Program, command: Program['command'], open: OpenArchive | undefined): void {
  withConfig(command)
    .description('show one request: who, what, verdict, rules, timings, tokens, what was masked, request and response')
    .argument('<session>', 'id, from `sessions list` or the header x-sallyport-session')
    .option('--raw', 'show a stream as it went over the wire, not what it says')
    .option('--json', 'print JSON, a stream in both forms')
    .addHelpText('after', examples('sallyport sessions show 0198c2f4-1d2a-7c3b-8e4f-0123456789ab'))
    .action(
      action(async (id: string, options: ShowOptions) => {
        const path = `/v1/sessions/${encodeURIComponent(id)}/show`;
        const answer = await withAdmin(configOf(options, io), io.user, open, (ask) => ask('GET', path));
        const { session } = answer as { session: SessionDetail };
        const both = { ...session, responseText: assembled(session) };
        const text = options.json
          ? `${JSON.stringify(both, null, 2)}\n`
          : showSession(session, { raw: options.raw ?? false });
        io.stdout.write(text);
        return 0;
      }),
    );
}

const columns: readonly Column[] = [
  { title: 'SESSION' },
  { title: 'TIME' },
  { title: 'WHO', shrinkTo: 10 },
  { title: 'MODEL', shrinkTo: 8 },
  { title: 'VERDICT' },
  { title: 'END', shrinkTo: 8 },
  { title: 'TOKENS', align: 'right' },
  { title: 'MS', align: 'right' },
  { title: 'MASKED', align: 'right' },
];

function listText(sessions: readonly SessionSummary[], io: Io): string {
  if (sessions.length === 0) return 'No sessions.\n';
  const rows = sessions.map((session) => [
    session.session,
    new Date(session.at).toISOString().slice(0, 19).replace('T', ' '),
    session.email || session.subject || '–',
    session.model || '–',
    session.verdict,
    session.code || session.how || 'open',
    tokensText(session),
    session.durationMs === undefined ? '' : String(Math.round(session.durationMs)),
    String(Object.values(session.masked).reduce((sum, count) => sum + count, 0)),
  ]);
  return table(columns, rows, io.stdout.columns ?? 160);
}

/** As the model reported them; else what the request was estimated at, with `~`. A request that was denied used none. */
function tokensText({ inputTokens, outputTokens, estimatedTokens, verdict }: SessionSummary): string {
  if (inputTokens !== undefined || outputTokens !== undefined) return `${inputTokens ?? '?'}+${outputTokens ?? '?'}`;
  return verdict === 'allow' && estimatedTokens > 0 ? `~${estimatedTokens}+?` : '';
}
