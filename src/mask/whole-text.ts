import { ownText } from '../detect/units.ts';
import type { Work } from '../exchange/pace.ts';
import { maskedText } from './channel.ts';
import type { Findings } from './findings.ts';

/** How much of earlier values is remembered: the longest e-mail address is 254 characters. */
const rememberedLength = 256;
/** How far into a value a match may reach that began in an earlier one: no bounded pattern is longer. */
const seamLength = 1024;

/** What stands for a value that would complete a match begun in an earlier event. */
const seamLabel = '<MASKED>';

/**
 * A text that is complete in each event (a function's name, an error's message), so nothing of it can be held back. Each
 * value is masked by itself. Should a client put the values together all the same, a match across them must not appear:
 * the value that would complete one is replaced.
 */
export class WholeText {
  private readonly findings: Findings;
  private before = '';
  private last = '';
  private lastMasked = '';
  /** `before` is nothing but repetitions of `last`: one more changes nothing. */
  private settled = false;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** `before`: what stands before the value, the same each time. */
  *mask(text: string, before = ''): Work<string> {
    if (text === this.last && this.settled) return this.lastMasked;
    const seam = this.seam(text.slice(0, seamLength));
    if (seam !== undefined) this.findings.add(seam);
    const masked = seam === undefined ? yield* maskedText(this.findings, text, false, before) : seamLabel;
    const earlier = (this.before + text.slice(-rememberedLength)).slice(-rememberedLength);
    this.settled = text === this.last && earlier === this.before;
    this.before = ownText(earlier);
    // Remembered only where that is cheap.
    this.last = text.length <= rememberedLength ? ownText(text) : '';
    this.lastMasked = masked;
    return masked;
  }

  /** The detector of a match that lies across the earlier values and this one. */
  private seam(text: string): string | undefined {
    if (this.before === '') return undefined;
    const { findings, before } = this;
    const joined = findings.look(before + text);
    return joined.length > findings.look(before).length + findings.look(text).length ? joined.at(-1) : undefined;
  }
}
