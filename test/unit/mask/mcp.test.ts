import { describe, expect, it } from 'vitest';
import { createBodies } from '../../../src/mask/bodies.ts';

const bodies = createBodies(['credit_card']);
const CARD = '4111 1111 1111 1111';
const result = (id: number, text: string) =>
  JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } });

async function masked(framing: 'json' | 'sse', ...chunks: string[]): Promise<string> {
  const { delivery } = bodies.response('mcp', framing, ['credit_card']);
  let out = '';
  for (const chunk of chunks) out += (await delivery.push(Buffer.from(chunk))).bytes.toString();
  return out + (await delivery.end()).bytes.toString();
}

describe('an answer of an MCP server', () => {
  it.each([
    ['a text', { result: { content: [{ type: 'text', text: `pays with ${CARD}` }] } }],
    ['structured content', { result: { structuredContent: { deep: [{ card: CARD }] } } }],
    ['a name', { result: { structuredContent: { [CARD]: 1 } } }],
    ['a number', { result: { structuredContent: { card: 4111111111111111 } } }],
    ['a resource', { result: { contents: [{ uri: 'a:b', text: CARD }] } }],
    ['a short blob', { result: { contents: [{ uri: 'a:b', blob: CARD }] } }],
    ['a description of a tool', { result: { tools: [{ name: 'a', description: CARD }] } }],
    ['an error', { error: { code: -1, message: CARD, data: { more: CARD } } }],
    ['a request to the client', { method: 'elicitation/create', params: { message: CARD } }],
    ['a member that nobody knows', { other: CARD }],
    ['an id', { id: CARD, result: {} }],
  ])('is masked in %s', async (_what, message) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 7, ...message });
    expect(body).toMatch(/4111/);
    const out = await masked('json', body);
    expect(out).not.toMatch(/4111/);
    expect(JSON.parse(out)).toMatchObject({ jsonrpc: '2.0' });
  });

  it('keeps everything else byte for byte', async () => {
    const body = `{"jsonrpc": "2.0","id":12, ${result(1, 'fine').slice(1).replace('"jsonrpc":"2.0","id":1,', '')}`;
    expect(await masked('json', body)).toBe(body);
  });

  it('holds nothing of one message for the next: each is complete in its event', async () => {
    const { delivery } = bodies.response('mcp', 'sse', ['credit_card']);
    const event = (text: string) => `event: message\nid: 1\ndata: ${result(1, text)}\n\n`;
    for (const text of ['ends like a card 4111', '1111 1111 1111 no card of its own', 'plain'])
      expect((await delivery.push(Buffer.from(event(text)))).bytes.length).toBeGreaterThan(0);
    expect((await delivery.end()).bytes.length).toBe(0);
  });

  it('may begin its stream with an event that has nothing but an id', async () => {
    const stream = `id: 1\nretry: 500\ndata: \n\nevent: message\ndata: ${result(1, 'hello')}\n\n`;
    expect(await masked('sse', stream)).toBe(stream);
  });
});
