import { describe, expect, it } from 'vitest';
import { streamText } from '../../../src/commands/stream-text.ts';

const chunk = (delta: object, index = 0, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', choices: [{ index, delta, finish_reason: finish }] })}\n\n`;
const done = 'data: [DONE]\n\n';
const usage = 'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n';

describe('the text of a stream on the record', () => {
  it('is what its chunks say, one after the other', () => {
    const wire =
      chunk({ role: 'assistant', content: '' }) + chunk({ content: 'Grüße, ' }) + chunk({ content: '<EMAIL>' });
    expect(streamText(`: ping\n\n${wire}${chunk({}, 0, 'stop')}${usage}${done}`)).toBe('Grüße, <EMAIL>');
  });

  it('is given for each choice, in their order, with why it ended where that is unusual', () => {
    const wire =
      chunk({ content: 'b' }, 1) + chunk({ content: 'a' }) + chunk({ content: 'B' }, 1) + chunk({}, 1, 'length');
    expect(streamText(wire + done)).toBe('[choice 0]\na\n[choice 1]\nbB\n[ended: length]');
  });

  it('has tool calls with their arguments, and other texts by their names', () => {
    const call = (more: object) => chunk({ tool_calls: [{ index: 0, ...more }] });
    const wire =
      chunk({ reasoning_content: 'hm' }) +
      call({ id: 'x', function: { name: 'send', arguments: '' } }) +
      call({ function: { arguments: '{"to":' } }) +
      call({ function: { arguments: '"<EMAIL>"}' } }) +
      chunk({}, 0, 'tool_calls');
    expect(streamText(wire + done)).toBe('[reasoning_content] hm\n[tool call] send({"to":"<EMAIL>"})');
  });

  it.each([chunk({ content: 'half' }), `${chunk({ content: 'half' })}data: {"choi`])(
    'says that it breaks off where it does: %j',
    (wire) => expect(streamText(wire)).toBe('half\n(it breaks off here)'),
  );

  it('reads CRLF and data in several lines', () => {
    const wire = 'data: {"choices":[{"index":0,\r\ndata: "delta":{"content":"x"}}]}\r\n\r\ndata: [DONE]\r\n\r\n';
    expect(streamText(wire)).toBe('x');
  });

  it.each([
    ['no stream', '{"choices":[{"index":0,"message":{"content":"x"}}]}'],
    ['nothing', ''],
    ['an event that is no JSON', `${chunk({ content: 'x' })}data: <MASKED>\n\n`],
    ['an error of the gateway in the stream', `${chunk({ content: 'x' })}data: {"error":{"message":"stopped"}}\n\n`],
    ['choices that are no list', 'data: {"choices":"<MASKED>"}\n\n'],
    ['a choice without an index', 'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'],
    ['content that is no text', chunk({ content: 'x' }) + chunk({ content: { text: 'y' } }) + done],
    ['tool calls that are no list', chunk({ tool_calls: '<MASKED>' }) + done],
    ['a tool call without an index', chunk({ tool_calls: [{ function: { name: 'f' } }] }) + done],
    ['events of another format', 'event: message_start\ndata: {"type":"message_start"}\n\n'],
    ['something after the end', chunk({ content: 'x' }) + done + chunk({ content: 'y' })],
    ['a number', 'data: 7\n\n'],
  ])('is not made up of %s: the wire form is shown instead', (_, wire) => {
    expect(streamText(wire)).toBeUndefined();
  });
});
