import { isUtf8 } from 'node:buffer';
import type { Automaton } from '../detect/automaton.ts';
import { scan } from '../detect/scan.ts';
import { type PlacedFinding, StreamScan } from '../detect/stream.ts';
import { type AddCommand, examples, exitCodes, type Io } from './cli.ts';
import { automatonOf, type DetectOptions, type Line, linesOf, pipedIn, utf8Text, writeOut } from './piped-text.ts';
import { escapeControls } from './text.ts';

interface Options extends DetectOptions {
  readonly json?: boolean;
  readonly jsonl?: boolean;
  readonly codePoints?: boolean;
  readonly show?: boolean;
  readonly exitCode?: boolean;
}

/** Longest line of JSON: it is kept in memory until its end. Longer ones are bad lines. */
const maxLineBytes = 64 * 1024 * 1024;

/** `sallyport scan`: what is sensitive in standard input, and where. */
export const scanCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('scan')
    .description('find what is sensitive in a text on standard input')
    .option('--detect <names>', 'detectors and categories, with commas between them', 'all')
    .option('--config <file>', 'a configuration whose own detectors are known, too')
    .option('--json', 'print a JSON array: type, start, end, line and column of each finding')
    .option('--jsonl', 'read lines {"id", "text"}, print lines {"id", "spans": [{"start", "end", "type"}]}')
    .option('--code-points', 'JSON: start and end count Unicode code points (default: UTF-16 units)')
    .option('--show', 'print what was found as it stands there (default: most of it is covered)')
    .option('--exit-code', 'end with 1 where something was found')
    .addHelpText(
      'after',
      '\nThe input is one text, of any length, and what is found is printed as it comes. With --jsonl each line is a text\nof its own; a line that cannot be read is named on standard error, has no line in the output, and makes the exit\ncode 1; all others are read.',
    )
    .addHelpText(
      'after',
      examples(
        'sallyport scan < mail.txt',
        'git diff | sallyport scan --detect secrets --exit-code',
        'sallyport scan --jsonl --code-points < texts.jsonl > spans.jsonl',
      ),
    )
    .action(
      action(async (options: Options) => {
        const automaton = await automatonOf(options, io);
        if (!options.jsonl) return scanText(automaton, options, io);
        if (options.show || options.json)
          command.error('error: --jsonl goes with neither --show nor --json', { exitCode: exitCodes.usage });
        return scanLines(automaton, options, io);
      }),
    );
};

async function scanText(automaton: Automaton, options: Options, io: Io): Promise<number> {
  const scanner = new StreamScan(automaton);
  const counts = new Map<string, number>();
  let total = 0;
  const print = async (found: readonly PlacedFinding[]) => {
    let out = '';
    for (const finding of found) {
      counts.set(finding.detector, (counts.get(finding.detector) ?? 0) + 1);
      out += options.json ? `${total === 0 ? '[\n' : ',\n'}  ${jsonOf(finding, options)}` : lineOf(finding, options);
      total++;
    }
    await writeOut(io, out);
  };
  const input = pipedIn(io);
  try {
    for await (const text of utf8Text(input)) await print(scanner.push(text));
  } finally {
    await print(scanner.end());
    if (options.json) await writeOut(io, total === 0 ? '[]\n' : '\n]\n');
    else io.stderr.write(summary(total, counts));
  }
  return total > 0 && options.exitCode ? exitCodes.failed : exitCodes.ok;
}

function jsonOf(finding: PlacedFinding, { codePoints, show }: Options): string {
  const { detector: type, line, column, text } = finding;
  const [start, end] = codePoints ? [finding.startPoint, finding.endPoint] : [finding.start, finding.end];
  return JSON.stringify({ type, start, end, line, column, ...(show ? { text } : {}) });
}

const lineOf = ({ line, column, detector, text }: PlacedFinding, { show }: Options): string =>
  `${`${line}:${column}`.padEnd(9)} ${detector.padEnd(24)} ${show ? escapeControls(text) : covered(text)}\n`;

/** Enough to know it again, and not to use it: at most a third of it, from its ends. */
function covered(text: string): string {
  const characters = [...text];
  const ends = Math.min(3, Math.floor(characters.length / 6));
  const middle = Math.min(12, characters.length - 2 * ends);
  const shown = (part: readonly string[]) => escapeControls(part.join(''));
  return shown(characters.slice(0, ends)) + '•'.repeat(middle) + shown(ends === 0 ? [] : characters.slice(-ends));
}

function summary(total: number, counts: ReadonlyMap<string, number>): string {
  if (total === 0) return 'Nothing found.\n';
  const each = [...counts].sort((a, b) => b[1] - a[1]).map(([detector, count]) => `${count} ${detector}`);
  return `${total} found: ${each.join(', ')}.\n`;
}

async function scanLines(automaton: Automaton, { codePoints, exitCode }: Options, io: Io): Promise<number> {
  let found = false;
  let bad = 0;
  for await (const lines of linesOf(pipedIn(io), maxLineBytes)) {
    let out = '';
    for (const line of lines) {
      const read = readLine(line);
      if (read === undefined) continue;
      if ('problem' in read) {
        bad++;
        io.stderr.write(`line ${line.number}: ${read.problem}\n`);
        continue;
      }
      const spans = scan(automaton, read.text).map(({ detector: type, start, end }) => ({ start, end, type }));
      found ||= spans.length > 0;
      const id = read.id === undefined ? '' : `"id":${read.id},`;
      out += `{${id}"spans":${JSON.stringify(codePoints ? inCodePoints(read.text, spans) : spans)}}\n`;
    }
    await writeOut(io, out);
  }
  if (bad > 0) io.stderr.write(`${bad === 1 ? 'A line' : `${bad} lines`} could not be read; all others were.\n`);
  return bad > 0 || (found && exitCode) ? exitCodes.failed : exitCodes.ok;
}

/** A text and its id as JSON, what is wrong with the line, or undefined for an empty one. */
function readLine({ number, bytes }: Line): { id: string | undefined; text: string } | { problem: string } | undefined {
  if (bytes === undefined) return { problem: `it is longer than ${maxLineBytes} bytes` };
  if (!isUtf8(bytes)) return { problem: 'it is not valid UTF-8' };
  const json = bytes.toString('utf8').replace(number === 1 ? /^\ufeff/ : /^(?!)/, '');
  if (json.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { problem: 'it is not JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { problem: 'it is not a JSON object' };
  const { id, text } = value as { id?: unknown; text?: unknown };
  if (typeof text !== 'string') return { problem: 'its "text" is not a string' };
  return { id: id === undefined ? undefined : idOf(id, json), text };
}

/** The id as it is written: a number may have more digits than a double. */
function idOf(id: unknown, json: string): string {
  if (typeof id === 'string' || Number.isSafeInteger(id)) return JSON.stringify(id);
  const exact = JSON.parse(json, (_, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? rawJson(context.source) : value,
  ) as { id: unknown };
  return JSON.stringify(exact.id);
}

/** ES2026, in Node since 22; TypeScript's library does not have it yet. */
const { rawJSON: rawJson } = JSON as typeof JSON & { rawJSON(text: string): unknown };

interface Span {
  readonly start: number;
  readonly end: number;
  readonly type: string;
}

/** Spans, in order and apart, in code points. Half of a surrogate pair counts as one. */
function inCodePoints(text: string, spans: readonly Span[]): readonly Span[] {
  let at = 0;
  let points = 0;
  const pointsAt = (offset: number): number => {
    while (at < offset) {
      at += text.codePointAt(at)! > 0xffff ? 2 : 1;
      points++;
    }
    return points;
  };
  return spans.map(({ start, end, type }) => ({ start: pointsAt(start), end: pointsAt(end), type }));
}
