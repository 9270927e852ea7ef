import type { Usage } from '../exchange/facts.ts';
import type { Work } from '../exchange/pace.ts';
import { utf8Length } from '../exchange/text-size.ts';

/** What one event, or a whole body, says. */
export interface Reported extends Usage {
  /** Pieces of long texts, which are not in `textBytes` yet. */
  readonly longTexts: readonly string[];
}

/** Keeps the last token usage that the model reported, and counts the text that it sent. */
export class UsageReader {
  private inputTokens: number | undefined;
  private outputTokens: number | undefined;
  private textBytes = 0;

  *see(reported: Reported): Work<void> {
    this.inputTokens = reported.inputTokens ?? this.inputTokens;
    this.outputTokens = reported.outputTokens ?? this.outputTokens;
    this.textBytes += reported.textBytes;
    for (const text of reported.longTexts) {
      this.textBytes += yield* utf8Length(text);
      yield;
    }
  }

  seeText(bytes: number): void {
    this.textBytes += bytes;
  }

  get usage(): Usage {
    return { inputTokens: this.inputTokens, outputTokens: this.outputTokens, textBytes: this.textBytes };
  }
}
