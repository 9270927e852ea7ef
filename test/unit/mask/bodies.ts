import { readFileSync } from 'node:fs';
import { compileAutomaton } from '../../../src/detect/automaton.ts';
import { detectors } from '../../../src/detect/registry.ts';
import type { Framing } from '../../../src/exchange/media.ts';
import { openaiChat } from '../../../src/exchange/openai-chat.ts';
import { type BodyMaskerOptions, createBodyMasker } from '../../../src/mask/body.ts';
import { createTextMaskers } from '../../../src/mask/text.ts';

/** Masks with every detector there is. */
export const textMaskers = createTextMaskers(compileAutomaton(detectors));

export const masker = (framing: Framing, options: Partial<BodyMaskerOptions> = {}) =>
  createBodyMasker({ format: openaiChat, framing, direction: 'response', textMaskers, ...options });

export const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../fixtures/openai-chat/${name}`, import.meta.url));

/** The text masked by itself, as one piece; `before`: what stands before it. */
export function maskText(text: string, before = ''): string {
  const one = textMaskers(() => undefined, before);
  return one.push(text) + one.end();
}

export interface Delivered {
  readonly text: string;
  readonly chunks: readonly { readonly bytes: Buffer; readonly terminal: boolean }[];
  readonly findings: Readonly<Record<string, number>>;
  readonly usage: { readonly inputTokens: number | undefined; readonly outputTokens: number | undefined };
}

/** Sends a body through a masker, in the pieces that `cuts` (places) make. */
export async function deliver(
  body: Buffer | string,
  framing: Framing,
  cuts: readonly number[] = [],
  options: Partial<BodyMaskerOptions> = {},
): Promise<Delivered> {
  const bytes = Buffer.from(body);
  const one = masker(framing, options);
  const chunks: { bytes: Buffer; terminal: boolean }[] = [];
  const places = [...new Set(cuts.map((cut) => Math.min(cut, bytes.length)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    const { bytes: out, terminal } = await one.push(bytes.subarray(from, to));
    chunks.push({ bytes: Buffer.from(out), terminal });
    from = to;
  }
  const last = await one.end();
  chunks.push(last);
  const text = Buffer.concat(chunks.map((chunk) => chunk.bytes)).toString('utf8');
  return { text, chunks, findings: Object.fromEntries(one.findings), usage: one.usage };
}

/** The JSON events of a stream, as a client without any cleverness reads them; comments and `[DONE]` are left out. */
export function eventsOf(stream: string): Record<string, unknown>[] {
  return stream
    .replace(/^\ufeff/, '')
    .replaceAll(/\r\n|\r/g, '\n')
    .split('\n\n')
    .map((event) =>
      event
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n'),
    )
    .filter((data) => data !== '' && data.trim() !== '[DONE]')
    .map((data) => JSON.parse(data) as Record<string, unknown>);
}

/** Every text of a stream by its path, put together over all events; choices and tool calls by their `index`. */
export function textsOf(stream: string): Map<string, string> {
  const texts = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'string') texts.set(path, (texts.get(path) ?? '') + value);
    else if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, `${path}[${item?.index ?? i}]`);
    else if (typeof value === 'object' && value !== null)
      for (const [name, inner] of Object.entries(value)) walk(inner, `${path}.${name}`);
  };
  for (const event of eventsOf(stream)) walk(event['choices'], 'choices');
  return texts;
}
