import type { PathStep } from '../exchange/format.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import { ArgumentsMasker } from './arguments.ts';
import { Channel } from './channel.ts';
import type { Findings } from './findings.ts';
import { keyOf } from './text-reader.ts';
import { WholeText } from './whole-text.ts';

/** Most texts that one stream may have under way: 128 choices with content, refusal and a few tool calls each. */
const maxTexts = 1024;
/** The same for texts that are complete in each event: the roles, ids, types and names of these. */
const maxWholes = 4096;

/** All texts of one stream, by path. */
export class Channels {
  private readonly findings: Findings;
  private readonly channels = new Map<string, Channel>();
  private readonly wholes = new Map<string, WholeText>();
  /** Keys of the objects whose channels have ended. */
  private readonly closed = new Set<string>();

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** The channel at a path. `scope`: of a format whose texts have one; empty: none. `before`: what stands before its text. */
  channel(path: readonly PathStep[], isJson: boolean, scope = '', before = ''): Channel {
    const key = keyOf(scope === '' ? path : [scope, ...path]);
    let channel = this.channels.get(key);
    if (channel === undefined) {
      channel = new Channel(path, isJson ? new ArgumentsMasker(this.findings) : this.findings.masker(before));
      channel.ended = this.isClosed(key);
      this.channels.set(key, channel);
      this.bound();
    }
    return channel;
  }

  /** The text at a path that is complete in each event. */
  whole(path: readonly PathStep[]): WholeText {
    const key = keyOf(path);
    let whole = this.wholes.get(key);
    if (whole === undefined) {
      whole = new WholeText(this.findings);
      this.wholes.set(key, whole);
      this.bound();
    }
    return whole;
  }

  /** The channels that are still open below a path, in the order in which they began; nothing may come in them any more. */
  close(path: readonly PathStep[]): Channel[] {
    const key = keyOf(path);
    this.closed.add(key);
    this.bound();
    const open: Channel[] = [];
    for (const [name, channel] of this.channels) if (!channel.ended && isBelow(name, key)) open.push(channel);
    return open;
  }

  private isClosed(key: string): boolean {
    for (const closed of this.closed) if (isBelow(key, closed)) return true;
    return false;
  }

  private bound(): void {
    if (this.channels.size + this.closed.size > maxTexts || this.wholes.size > maxWholes)
      throw new UnreadableBody(`more than ${maxTexts} texts in one stream`);
  }
}

function isBelow(key: string, above: string): boolean {
  return key.startsWith(above) && (key[above.length] === '.' || key[above.length] === '[');
}
