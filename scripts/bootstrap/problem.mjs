/** A missing part, in the words of whoever has to bring it: what is wrong, and what to do about it. */
export class Problem extends Error {
  /**
   * @param {string} message what is wrong, one sentence
   * @param {string} remedy what to do, one sentence
   * @param {string} [detail] last lines of the tool that failed
   */
  constructor(message, remedy, detail = '') {
    super(message);
    this.remedy = remedy;
    this.detail = detail;
  }

  /** @returns {string} text for the terminal */
  print() {
    const detail = this.detail.trim();
    const quoted = detail
      ? `\n${detail
          .split('\n')
          .slice(-8)
          .map((line) => `    | ${line}`)
          .join('\n')}`
      : '';
    return `${this.message}\n  → ${this.remedy}${quoted}`;
  }
}
