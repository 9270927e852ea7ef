import type { Usage } from '../exchange/facts.ts';

/** Keeps the last token usage that the model reported, and counts the text that it sent. */
export class UsageReader {
  private inputTokens: number | undefined;
  private outputTokens: number | undefined;
  private characters = 0;

  see(reported: Pick<Usage, 'inputTokens' | 'outputTokens'> & { readonly characters: number }): void {
    this.inputTokens = reported.inputTokens ?? this.inputTokens;
    this.outputTokens = reported.outputTokens ?? this.outputTokens;
    this.characters += reported.characters;
  }

  seeText(characters: number): void {
    this.characters += characters;
  }

  get usage(): Usage {
    return { inputTokens: this.inputTokens, outputTokens: this.outputTokens, characters: this.characters };
  }
}
