/** `sallyport policy backtest`: what a folder of policies would have said about the requests that are on the record. */
import { Option } from 'commander';
import type { RecordedSession as Stored } from '../../console/archive.ts';
import { askedOf, readRequest } from '../../exchange/formats.ts';
import { windowStart } from '../../limits/windows.ts';
import { Backtest, type BacktestReport } from '../../policy/backtest/backtest.ts';
import type { RecordedSession, Reread } from '../../policy/backtest/recorded.ts';
import { type Ask, type OpenArchive, withAdmin } from '../admin-client.ts';
import { ageMs, examples, exitCodes, type Io, type Program, wholeNumber } from '../cli.ts';
import { type ConfigOption, withConfig } from '../config-option.ts';
import { escapeControls, facts, table } from '../text.ts';
import { countFilters } from './gate-reader.ts';
import { goodSet, openWorkspace, type Workspace } from './workspace.ts';

interface BacktestCommandOptions extends ConfigOption {
  readonly policies?: string;
  readonly since: number;
  readonly limit: number;
  readonly examples: number;
  readonly failOnChange?: boolean;
  readonly json?: boolean;
}

const PAGE = 100;

export function addBacktest(policy: Program['command'], { io, action }: Program, open: OpenArchive | undefined): void {
  withConfig(policy.command('backtest'))
    .description('decide the requests on the record again, under other policies, and say what would change')
    .option('--policies <dir>', 'folder of the policies to try (default: policies.dir of the configuration)')
    .addOption(
      new Option('--since <age>', 'requests not older than this, such as 30m, 12h, 7d')
        .argParser(ageMs)
        .default(7 * 86_400_000, '7d'),
    )
    .option('-n, --limit <count>', 'at most so many, the oldest first', wholeNumber(1, 10_000_000), 100_000)
    .option('--examples <count>', 'examples of each change', wholeNumber(0, 100), 3)
    .option('--fail-on-change', 'exit code 1 where a verdict changes or is not known')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport policy backtest --policies policies --since 7d',
        'sallyport policy backtest --policies new --json',
      ),
    )
    .action(action((options: BacktestCommandOptions) => backtest(options, io, open)));
}

async function backtest(options: BacktestCommandOptions, io: Io, open: OpenArchive | undefined): Promise<number> {
  const workspace = await openWorkspace(options.policies, options, io);
  const set = goodSet(workspace);
  const untilMs = Date.now();
  const sinceMs = untilMs - options.since;
  const test = new Backtest({
    set,
    models: workspace.models,
    sinceMs,
    windowStart,
    examples: options.examples,
    reread: rereader(workspace),
    expand: (name) => {
      const resolved = workspace.detectors.resolve([name]);
      return resolved.ok ? resolved.ids : [name];
    },
  });
  const interrupted = await withAdmin(workspace.config, io.user, open, (ask) =>
    everySession(ask, { sinceMs, untilMs, limit: options.limit }, io, (session) => test.add(session)),
  );
  const report = test.report();
  if (options.json)
    io.stdout.write(`${JSON.stringify({ sinceMs, untilMs, truncated: interrupted, ...report }, null, 2)}\n`);
  else io.stdout.write(text(report, { sinceMs, interrupted, limit: options.limit, columns: io.stdout.columns ?? 100 }));
  return options.failOnChange && report.unchanged < report.sessions ? exitCodes.failed : exitCodes.ok;
}

interface Asked {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly limit: number;
}

/** Goes through the record page by page. Returns whether there are more than `limit`. */
async function everySession(
  ask: Ask,
  { sinceMs, untilMs, limit }: Asked,
  io: Io,
  use: (session: RecordedSession) => Promise<void>,
): Promise<boolean> {
  const progress = io.stderr.isTTY === true && io.env['TERM'] !== 'dumb';
  let after = '';
  let done = 0;
  try {
    for (;;) {
      const query = new URLSearchParams({
        sinceMs: String(sinceMs),
        untilMs: String(untilMs),
        after,
        limit: String(PAGE),
      });
      const { sessions } = (await ask('GET', `/v1/recorded?${query}`)) as { sessions: readonly Stored[] };
      for (const stored of sessions) {
        if (done === limit) return true;
        await use(recordedOf(stored));
        done++;
      }
      if (progress) io.stderr.write(`\r\x1b[K${done} requests decided again`);
      const last = sessions.at(-1);
      if (last === undefined || sessions.length < PAGE) return false;
      after = last.session;
    }
  } finally {
    if (progress) io.stderr.write('\r\x1b[K');
  }
}

/** The events are ours, of this version or an older one. */
function recordedOf({ session, request, decision, findings, end, text: body }: Stored): RecordedSession {
  const asked = request as unknown as RecordedSession['request'] & {
    checked?: boolean;
    findings: Record<string, number>;
  };
  const used = end as { inputTokens?: number; outputTokens?: number } | undefined;
  const later = findings as { findings: Record<string, number> } | undefined;
  return {
    session,
    request: asked,
    // Before `checked` was written, what was found was always there.
    findings: asked.checked === false ? later?.findings : asked.findings,
    decision: decision as unknown as RecordedSession['decision'],
    usedTokens:
      used?.inputTokens === undefined && used?.outputTokens === undefined
        ? undefined
        : (used.inputTokens ?? 0) + (used.outputTokens ?? 0),
    text: body,
  };
}

/** Reads a recorded body as the gate did. A path with a label in it was masked: it is no path any more. */
const rereader =
  ({ filters }: Workspace) =>
  async ({ request: { http, format } }: RecordedSession, body: string): Promise<Reread | undefined> => {
    // Of what no format reads, the record has a digest, not the body.
    if (format === 'opaque') return undefined;
    const asked = askedOf(format, http.method, http.path);
    if (asked === undefined) return undefined;
    const read = await readRequest(
      asked,
      { contentType: 'application/json', contentEncoding: undefined },
      Buffer.from(body),
    );
    return read.ok ? { facts: read.value, filters: await countFilters(filters, read.value.text) } : undefined;
  };

interface Shown {
  readonly sinceMs: number;
  readonly interrupted: boolean;
  readonly limit: number;
  readonly columns: number;
}

function text(report: BacktestReport, { sinceMs, interrupted, limit, columns }: Shown): string {
  const { sessions, unchanged, changed, unknown, masksChanged } = report;
  const share = (count: number) => `${count}${sessions === 0 ? '' : ` (${((100 * count) / sessions).toFixed(1)} %)`}`;
  const head = facts([
    ['Policies', report.revision],
    ['Decided then by', report.revisions.join(', ')],
    ['Since', new Date(sinceMs).toISOString()],
    ['Requests', interrupted ? `${sessions}: the limit; there are more (--limit ${limit})` : String(sessions)],
    ['No change', share(unchanged)],
    ['Verdict changes', share(changed)],
    ['Other masks', share(masksChanged)],
    [
      'Unknown',
      unknown === 0
        ? '0'
        : `${share(unknown)}: a rule reads what the record does not keep, a limit may have been used up before, or the model is gone`,
    ],
  ]);
  const parts = [
    section(
      'Changes',
      [{ title: 'THEN' }, { title: 'NOW' }, { title: 'REQUESTS', align: 'right' }],
      report.verdicts.map(({ from, to, sessions: count }) => [from, to, String(count)]),
      columns,
    ),
    section(
      'Rules',
      [
        { title: 'RULE', shrinkTo: 20 },
        ...['THEN', 'NOW', 'NEWLY', 'NO LONGER', 'UNKNOWN'].map((title) => ({ title, align: 'right' as const })),
      ],
      report.rules.map(({ rule, before, after, newly, noLonger, unknown: dark }) =>
        [rule, before, after, newly, noLonger, dark].map(String),
      ),
      columns,
    ),
    groups('Callers', report.callers, columns),
    groups('Models', report.models, columns),
    section(
      'Examples',
      [
        { title: 'SESSION' },
        { title: 'CALLER', shrinkTo: 10 },
        { title: 'MODEL', shrinkTo: 8 },
        { title: 'THEN' },
        { title: 'NOW' },
        { title: 'BY' },
      ],
      report.examples.map(({ session, caller, model, from, to, by }) => [session, caller, model, from, to, by]),
      columns,
    ),
  ];
  return head + parts.join('');
}

/** Those of whom something changes or is not known. */
function groups(title: string, all: BacktestReport['callers'], columns: number): string {
  const rows = all.filter(({ changed, unknown }) => changed + unknown > 0).slice(0, 20);
  const counted = rows.map(({ name, sessions, changed, unknown }) => [name, sessions, changed, unknown].map(String));
  const heads = [
    { title: 'NAME', shrinkTo: 20 },
    ...['REQUESTS', 'CHANGED', 'UNKNOWN'].map((one) => ({ title: one, align: 'right' as const })),
  ];
  return section(title, heads, counted, columns);
}

function section(
  title: string,
  heads: Parameters<typeof table>[0],
  rows: readonly (readonly string[])[],
  columns: number,
): string {
  return rows.length === 0 ? '' : `\n${escapeControls(title)}\n${table(heads, rows, columns)}`;
}
