import type { ChatRequest } from './chat-request.ts';
import { answerTo, argumentFor } from './script.ts';

interface ToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

interface Choice {
  readonly index: number;
  readonly message: {
    readonly role: 'assistant';
    readonly content: string | null;
    readonly refusal: null;
    readonly tool_calls?: readonly ToolCall[];
  };
  readonly logprobs: null;
  readonly finish_reason: 'stop' | 'length' | 'tool_calls';
}

/** OpenAI's `chat.completion` object. */
export interface Completion {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly Choice[];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly total_tokens: number };
  readonly system_fingerprint: 'script';
}

/** 2025-01-01T00:00:00Z: the script has no clock. */
const createdSeconds = 1_735_689_600;
const charactersPerToken = 4;

/** The scripted answer to a request; `hash` is of its body and becomes its id. */
export function completionOf(request: ChatRequest, hash: string): Completion {
  const last = request.messages.at(-1);
  const call = last?.role !== 'tool' && request.tool_choice !== 'none' ? request.tools?.[0] : undefined;
  const limit = request.max_completion_tokens ?? request.max_tokens ?? Number.POSITIVE_INFINITY;
  const text = answerTo(textOf(last?.content));
  const choices = Array.from({ length: request.n ?? 1 }, (_, index) =>
    call === undefined ? textChoice(index, text, limit) : toolChoice(index, call.function, hash),
  );
  const prompt = tokens(request.messages.map(({ content }) => textOf(content)).join(''));
  const said = choices.map(({ message }) =>
    tokens(message.content ?? message.tool_calls?.[0]?.function.arguments ?? ''),
  );
  const completion = said.reduce((sum, count) => sum + count, 0);
  return {
    id: `chatcmpl-${hash.slice(0, 24)}`,
    object: 'chat.completion',
    created: createdSeconds,
    model: request.model,
    choices,
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
    system_fingerprint: 'script',
  };
}

/**
 * The same answer as OpenAI's `chat.completion.chunk` objects: choices take turns, texts come four characters at a time, so
 * that what should be masked lies across events; tool arguments likewise.
 */
export function* eventsOf(completion: Completion, includeUsage: boolean): Generator<object> {
  const { id, created, model, system_fingerprint } = completion;
  const chunk = (choices: readonly object[], usage: object | null = null) => ({
    id,
    object: 'chat.completion.chunk',
    created,
    model,
    system_fingerprint,
    choices,
    ...(includeUsage ? { usage } : {}),
  });
  const turns = completion.choices.map((choice) => [...deltasOf(choice)]);
  const longest = Math.max(...turns.map((deltas) => deltas.length));
  for (let turn = 0; turn < longest; turn++)
    for (const [index, deltas] of turns.entries()) {
      const delta = deltas[turn];
      if (delta === undefined) continue;
      const finish_reason = turn === deltas.length - 1 ? completion.choices[index]?.finish_reason : null;
      yield chunk([{ index, delta, logprobs: null, finish_reason }]);
    }
  if (includeUsage) yield chunk([], completion.usage);
}

function* deltasOf({ message }: Choice): Generator<object> {
  const call = message.tool_calls?.[0];
  yield { role: 'assistant', content: call === undefined ? '' : null, refusal: null };
  if (call !== undefined) {
    const { id, type } = call;
    yield { tool_calls: [{ index: 0, id, type, function: { name: call.function.name, arguments: '' } }] };
    for (const piece of pieces(call.function.arguments))
      yield { tool_calls: [{ index: 0, function: { arguments: piece } }] };
  } else for (const piece of pieces(message.content ?? '')) yield { content: piece };
  yield {};
}

function textChoice(index: number, text: string, maxTokens: number): Choice {
  const isCut = tokens(text) > maxTokens;
  const content = isCut ? [...text].slice(0, maxTokens * charactersPerToken).join('') : text;
  return {
    index,
    message: { role: 'assistant', content, refusal: null },
    logprobs: null,
    finish_reason: isCut ? 'length' : 'stop',
  };
}

function toolChoice(
  index: number,
  tool: { readonly name: string; readonly parameters?: unknown },
  hash: string,
): Choice {
  const call: ToolCall = {
    id: `call_${hash.slice(24, 44)}${index}`,
    type: 'function',
    function: { name: tool.name, arguments: JSON.stringify(argumentsOf(tool.parameters)) },
  };
  return {
    index,
    message: { role: 'assistant', content: null, refusal: null, tool_calls: [call] },
    logprobs: null,
    finish_reason: 'tool_calls',
  };
}

/** An argument for each property of a tool's JSON Schema. */
function argumentsOf(schema: unknown): Record<string, unknown> {
  const properties = typeof schema === 'object' && schema !== null && 'properties' in schema ? schema.properties : {};
  return Object.fromEntries(
    Object.entries(properties ?? {}).map(([name, property]) => {
      const type =
        typeof property === 'object' && property !== null && 'type' in property ? String(property.type) : 'string';
      return [name, argumentFor(name, type)];
    }),
  );
}

/** The text of a message's content: a string, or the text parts of a list. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: { text?: unknown }) => (typeof part?.text === 'string' ? part.text : '')).join('\n');
}

const tokens = (text: string) => Math.ceil(text.length / charactersPerToken);

/** Cuts a text every four characters, never inside one. */
function* pieces(text: string): Generator<string> {
  const characters = [...text];
  for (let at = 0; at < characters.length; at += charactersPerToken)
    yield characters.slice(at, at + charactersPerToken).join('');
}
