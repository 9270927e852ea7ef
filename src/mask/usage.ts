import type { Usage } from '../exchange/facts.ts';

/** Keeps the last token usage that the model reported. */
export class UsageReader {
  private inputTokens: number | undefined;
  private outputTokens: number | undefined;

  see(reported: Usage): void {
    this.inputTokens = reported.inputTokens ?? this.inputTokens;
    this.outputTokens = reported.outputTokens ?? this.outputTokens;
  }

  get usage(): Usage {
    return { inputTokens: this.inputTokens, outputTokens: this.outputTokens };
  }
}
