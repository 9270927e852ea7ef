import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { type Automaton, compileAutomaton } from '../detect/automaton.ts';
import type { Detector } from '../detect/detector.ts';
import { detectors as builtIn, selectDetectors, UnknownDetectorError } from '../detect/registry.ts';
import { CliError, exitCodes, type Io } from './cli.ts';
import { detectorsOf } from './config-detectors.ts';
import { configOf } from './config-option.ts';

/** Which detectors: `detect` has ids and categories with commas between them; `config`: a configuration that has more. */
export interface DetectOptions {
  readonly detect: string;
  readonly config?: string;
}

/** The detectors that the options name, compiled. */
export async function automatonOf(options: DetectOptions, io: Io): Promise<Automaton> {
  return compileAutomaton((await detectorsOfOptions(options, io)).chosen);
}

/** The detectors that the options name, and all that there are. */
export async function detectorsOfOptions({ detect, config }: DetectOptions, io: Io) {
  const known = config === undefined ? builtIn : (await detectorsOf(configOf({ config }, io), io)).all;
  const names = detect
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0)
    throw new CliError(exitCodes.usage, '--detect names nothing.', 'Leave it out to look for everything.');
  return { chosen: detectorsNamed(names, known), known };
}

/** As `selectDetectors`; a name that nobody knows is the command line's. */
export function detectorsNamed(names: readonly string[], known: readonly Detector[]): readonly Detector[] {
  try {
    return selectDetectors(names, known);
  } catch (error) {
    if (!(error instanceof UnknownDetectorError)) throw error;
    throw new CliError(exitCodes.usage, `${error.message}.`, 'docs/detectors.md has them all.', error);
  }
}

/** Standard input. Whoever sits at a terminal is told that it is read. */
export function pipedIn(io: Io): AsyncIterable<Buffer> {
  const { stdin } = io;
  if (stdin === undefined)
    throw new CliError(exitCodes.usage, 'There is no standard input.', 'Pipe the text in: … < file');
  if (stdin.isTTY === true)
    io.stderr.write('Reading the text from the terminal; Ctrl-D on an empty line ends it, Ctrl-C gives up.\n');
  return stdin as AsyncIterable<unknown> as AsyncIterable<Buffer>;
}

/** Writes, and waits where the reader at the other end is slower than we are. */
export async function writeOut(io: Io, text: string): Promise<void> {
  const stdout = io.stdout as Partial<Writable> & Io['stdout'];
  if (text !== '' && stdout.write(text) === false && stdout.writableNeedDrain === true)
    await once(stdout as Writable, 'drain');
}

/** The text before the first byte that is not UTF-8 has been given out; nothing after it is read. */
export class NotUtf8 extends CliError {
  constructor(offset: number) {
    super(
      exitCodes.failed,
      `The input is not valid UTF-8 at byte ${offset}: nothing from there on was read.`,
      'Convert it first, such as with iconv -f latin1 -t utf-8.',
    );
  }
}

/** The text of UTF-8 bytes that come in pieces. Throws NotUtf8 once all text before the wrong byte was given. */
export async function* utf8Text(input: AsyncIterable<Buffer>): AsyncGenerator<string, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  let before = 0;
  for await (const chunk of input) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const length = isUtf8(bytes) ? bytes.length : validLength(bytes);
    if (length > 0) yield bytes.toString('utf8', 0, length);
    before += length;
    rest = bytes.subarray(length);
    if (rest.length > 3) throw new NotUtf8(before);
  }
  if (rest.length > 0) throw new NotUtf8(before);
}

/** How many of these bytes are UTF-8 for certain: up to three at their end may be the beginning of a character. */
function validLength(bytes: Buffer): number {
  for (let back = 0; back <= 3 && back <= bytes.length; back++)
    if (isUtf8(bytes.subarray(0, bytes.length - back))) return bytes.length - back;
  // What cannot be decoded is read as U+FFFD, which may be in the text as well.
  const text = bytes.toString('utf8');
  let offset = 0;
  for (let from = 0, at = text.indexOf(replacement); at >= 0; at = text.indexOf(replacement, from)) {
    offset += Buffer.byteLength(text.slice(from, at));
    if (bytes.toString('hex', offset, offset + 3) !== 'efbfbd') return offset;
    offset += 3;
    from = at + 1;
  }
  return bytes.length;
}

const replacement = '\ufffd';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its line end; undefined where it is longer than allowed. */
  readonly bytes: Buffer | undefined;
}

/** The lines of bytes that come in pieces: those that are complete by each piece, together. */
export async function* linesOf(
  input: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<readonly Line[], void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  let number = 0;
  const add = (part: Buffer) => {
    length += part.length;
    if (length <= maxBytes) parts.push(part);
    else parts = [];
  };
  const take = (): Line => {
    const bytes = length > maxBytes ? undefined : parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    length = 0;
    return { number: ++number, bytes };
  };
  for await (const chunk of input) {
    const lines: Line[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      add(chunk.subarray(from, end));
      lines.push(take());
      from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
    if (lines.length > 0) yield lines;
  }
  if (length > 0) yield [take()];
}

const LF = 0x0a;
