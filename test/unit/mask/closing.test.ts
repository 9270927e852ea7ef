import { describe, expect, it } from 'vitest';
import { anthropicMessages } from '../../../src/exchange/anthropic-messages.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';
import { masker } from './bodies.ts';

describe('what ends a stream of events with an error', () => {
  it.each([
    [openaiChat, '\n', 'data: {"type":"error"}\n\n'],
    [openaiChat, '\r\n', 'data: {"type":"error"}\r\n\r\n'],
    [anthropicMessages, '\n', 'event: error\ndata: {"type":"error"}\n\n'],
  ])('is a whole event, in the line ends of the stream', async (format, eol, expected) => {
    const one = masker('sse', { format });
    await one.push(Buffer.from(`data: {"type":"ping"}${eol}${eol}data: {"choices":[`));
    expect(one.closing({ json: '{"type":"error"}', words: 'stopped' }, true)?.toString()).toBe(expected);
  });
});
