import { describe, expect, it } from 'vitest';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { detectors } from '../../../src/detect/registry.ts';
import { createTextMaskers } from '../../../src/mask/text.ts';

const automaton = compileAutomaton(detectors);
const maskers = createTextMaskers(automaton);

function mask(pieces: readonly string[]): { readonly text: string; readonly findings: readonly string[] } {
  const findings: string[] = [];
  const masker = maskers((detector) => findings.push(detector));
  const text = pieces.map((piece) => masker.push(piece)).join('') + masker.end();
  return { text, findings };
}

describe('the text masker', () => {
  it('replaces each match by its detector and tells of it once', () => {
    expect(mask(['Write to jane@example.com or joe@example.org, card 4111 1111 1111 1111.'])).toEqual({
      text: 'Write to <EMAIL_ADDRESS> or <EMAIL_ADDRESS>, card <CREDIT_CARD>.',
      findings: ['email_address', 'email_address', 'credit_card'],
    });
  });
});
