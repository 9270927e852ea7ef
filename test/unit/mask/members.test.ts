/** Values that a detector takes for sensitive only behind a word: the name of their member is that word. */
import { describe, expect, it } from 'vitest';
import { detectors } from '../../../src/detect/registry.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import { deliver } from './bodies.ts';

const bodies = createBodies(detectors.map(({ id }) => id));

async function answer(format: string, body: unknown): Promise<unknown> {
  const { delivery } = bodies.response(
    format,
    'json',
    detectors.map(({ id }) => id),
  );
  const first = await delivery.push(Buffer.from(JSON.stringify(body)));
  return JSON.parse(Buffer.concat([first.bytes, (await delivery.end()).bytes]).toString());
}

describe('the name of a member stands before its value', () => {
  it.each<[string, object, object]>([
    ['openai-chat', { ssn: '536221234', n: 536221234 }, { ssn: '<US_SSN>', n: 536221234 }],
    ['openai-chat', { x: { ssn: [536221234] } }, { x: { ssn: ['<US_SSN>'] } }],
    [
      'anthropic-messages',
      { type: 'message', content: [{ type: 'tool_use', id: 't', name: 'f', input: { ssn: 536221234 } }] },
      { type: 'message', content: [{ type: 'tool_use', id: 't', name: 'f', input: { ssn: '<US_SSN>' } }] },
    ],
    [
      'gemini',
      { candidates: [{ content: { parts: [{ functionCall: { name: 'f', args: { ssn: '536221234' } } }] } }] },
      { candidates: [{ content: { parts: [{ functionCall: { name: 'f', args: { ssn: '<US_SSN>' } } }] } }] },
    ],
    [
      'mcp',
      { jsonrpc: '2.0', id: 1, result: { content: [], structuredContent: { person: { ssn: 536221234 } } } },
      { jsonrpc: '2.0', id: 1, result: { content: [], structuredContent: { person: { ssn: '<US_SSN>' } } } },
    ],
  ])('in answers: %s %j', async (format, body, masked) => {
    expect(await answer(format, body)).toEqual(masked);
  });

  it('in requests, of strings of any length', async () => {
    const long = `${'word '.repeat(20_000)}end`;
    const body = { model: 'm', messages: [], custom: { ssn: `536221234 ${long}`, other: `536221234 ${long}` } };
    const { masked } = await bodies.request('openai-chat', Buffer.from(JSON.stringify(body)));
    expect(JSON.parse(masked.toString()).custom).toEqual({ ssn: `<US_SSN> ${long}`, other: `536221234 ${long}` });
  });

  it('in events, of texts that come in pieces as well', async () => {
    const event = (delta: object) => `data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`;
    const body = `${event({ ssn: 536221234 })}${event({ passport_number: '12345' })}${event({ passport_number: '6789' })}data: [DONE]\n\n`;
    const whole = await deliver(body, 'sse');
    expect(whole.text).toContain('"ssn":"<US_SSN>"');
    expect(whole.text).toContain('<US_PASSPORT>');
    expect(whole.text).not.toMatch(/536221234|6789/);
    expect((await deliver(body, 'sse', [...body].keys().toArray())).text).toBe(whole.text);
  });

  it('but not where the format knows the name', async () => {
    const secret = 'a8f5Kq93mZx7Lw2Pv0Rt';
    const found = async (name: string): Promise<unknown> => {
      const body = { model: 'm', messages: [], [name]: secret };
      return Object.fromEntries((await bodies.request('openai-chat', Buffer.from(JSON.stringify(body)))).findings);
    };
    expect(await found('prompt_cache_key')).toEqual({});
    expect(await found('api_key')).toEqual({ generic_api_key: 1 });
  });
});
