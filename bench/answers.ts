/** What the bench's model says. */
export const EVENTS = 200;

const TEXT =
  'The harbour was quiet when the first boats came in, and the people on the quay spoke of the storm that had passed ' +
  'in the night. Nobody had been hurt, but two masts were broken and the market opened late. By noon the sun stood over ' +
  'the roofs, children ran between the stalls, and the old fishermen mended their nets as they always had. A letter for ' +
  'the harbour master, sent by anna.keller@example.com, lay unopened on the table; it said that the new ferry would come ' +
  'on Thursday, with forty guests, and that rooms were needed for all of them in the three houses by the water front today.';

export const WORDS: readonly string[] = TEXT.split(' ').map((word) => ` ${word}`);
export const SECRET = 'anna.keller@example.com';
export const MASKED = '<EMAIL_ADDRESS>';

export function jsonAnswer(): string {
  return JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_790_000_000,
    model: 'bench',
    choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop', logprobs: null }],
    usage: { prompt_tokens: 12, completion_tokens: 130, total_tokens: 142 },
  });
}
