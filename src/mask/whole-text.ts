import type { Findings } from './findings.ts';

/** How much of earlier values is remembered: the longest e-mail address is 254 characters. */
const rememberedLength = 256;

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

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** Values of any length are taken at once: they are short, or one in a stream. */
  mask(text: string): string {
    if (text === this.last) return this.lastMasked;
    const { findings } = this;
    let masked = findings.mask(text);
    if (this.before !== '') {
      const joined = findings.look(this.before + text);
      if (joined.length > findings.look(this.before).length + findings.look(text).length) {
        findings.add(joined.at(-1)!);
        masked = seamLabel;
      }
    }
    this.before = (this.before + text).slice(-rememberedLength);
    this.last = text;
    this.lastMasked = masked;
    return masked;
  }
}
