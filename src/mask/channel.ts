import type { PathStep } from '../exchange/format.ts';
import type { Work } from '../exchange/pace.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { ArgumentsMasker } from './arguments.ts';
import type { TextMasker } from './contract.ts';
import type { Findings } from './findings.ts';

/** Characters masked in one step: some 0.3 ms of the worst text that was measured. */
const sliceLength = 512;
/** Characters of a text that is worth a turn of its own: it may have to be put together first. */
const longPiece = 64 * 1024;

/** One text that comes in pieces, in whatever events. */
export class Channel {
  readonly path: readonly PathStep[];
  /** Header of the last event that had a piece of this text: what a carrier repeats. */
  header = '';
  ended = false;
  private readonly masker: TextMasker;
  /** The first half of a surrogate pair, kept back until its other half is out: each event is well-formed by itself. */
  private half = '';

  constructor(path: readonly PathStep[], masker: TextMasker) {
    this.path = path;
    this.masker = masker;
  }

  push(piece: string): string {
    if (this.ended && piece !== '') throw new UnreadableBody('a text goes on after its end');
    return this.ended ? '' : this.whole(this.masker.push(piece));
  }

  /** As `push`, for a piece of any length. */
  *pushLong(piece: string): Work<string> {
    if (piece.length <= sliceLength) return this.push(piece);
    if (piece.length >= longPiece) yield 'long';
    let out = '';
    for (let at = 0; at < piece.length; at += sliceLength) {
      out += this.push(piece.slice(at, at + sliceLength));
      yield;
    }
    return out;
  }

  /** What is still held. */
  end(): string {
    if (this.ended) return '';
    this.ended = true;
    const rest = this.half + this.masker.end();
    this.half = '';
    return rest;
  }

  private whole(text: string): string {
    const out = this.half === '' ? text : this.half + text;
    const last = out.charCodeAt(out.length - 1);
    if (last >= 0xd800 && last <= 0xdbff) {
      this.half = out.slice(-1);
      return out.slice(0, -1);
    }
    this.half = '';
    return out;
  }
}

/** Masks a text that is complete, of any length; `before`: what stands before it (contract.ts). */
export function* maskedText(findings: Findings, text: string, isJson: boolean, before = ''): Work<string> {
  if (text.length === 0) return text;
  const channel = new Channel([], isJson ? new ArgumentsMasker(findings) : findings.masker(before));
  const out = yield* channel.pushLong(text);
  return out + channel.end();
}

/**
 * As `maskedText`, for a text of megabytes that comes in pieces: the masked text in pieces, each well-formed by itself, or
 * undefined where nothing changed. Putting such a text together, or comparing it, would hold the event loop.
 */
export function* maskedPieces(
  findings: Findings,
  text: readonly string[],
  isJson: boolean,
  before = '',
): Work<readonly string[] | undefined> {
  const channel = new Channel([], isJson ? new ArgumentsMasker(findings) : findings.masker(before));
  const pieces: string[] = [];
  /** What went in and has not come out, as long as all that came out is what went in. */
  let due = '';
  let isSame = true;
  const take = (piece: string): void => {
    pieces.push(piece);
    isSame &&= due.startsWith(piece);
    due = isSame ? due.slice(piece.length) : '';
  };
  for (const part of text)
    for (let at = 0; at < part.length; at += sliceLength) {
      const slice = part.slice(at, at + sliceLength);
      if (isSame) due += slice;
      take(channel.push(slice));
      yield;
    }
  take(channel.end());
  return isSame && due === '' ? undefined : pieces;
}
