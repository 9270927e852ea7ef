/** What a Responses request says. Refusals are worded as OpenAI words them. */
import { Check, kindOf } from './check.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import {
  longText,
  mostTokens,
  namesAt,
  notAnObject,
  refusal,
  refuseUnreadable,
  scalarParameters,
  sliceItems,
} from './openai-request.ts';
import { type Attached, readItem, readPart, readTools } from './openai-responses-items.ts';
import { requestText } from './openai-responses-text.ts';
import { refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';
import { type KnownFacts, withTexts } from './with-texts.ts';
import { Words } from './words.ts';

const bodyNames = namesAt(requestText);
const inputItems = requestText.members.get('input')!.items;
const noParameters = new Set(['model', 'stream', 'input', 'instructions']);
/** Objects whose scalars are parameters too. */
const parameterObjects = [
  'stream_options',
  'reasoning',
  'text',
  'prompt',
  'conversation',
  'tool_choice',
  'metadata',
  'moderation',
  'prompt_cache_options',
];

type Message = { readonly role: string; readonly text: string };

/** Reads the facts. The first thing that is wrong is what the caller hears about. */
export function* responseFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  if (!isJsonObject(body)) return notAnObject(body);
  const check = new Check();
  check.names(body, bodyNames, '');
  refuseOtherModels(check, body);
  refuseUnreadable(check, body);
  const model = check.requiredText(body, 'model');
  const stream = check.optionalBoolean(body, 'stream') ?? false;
  const instructions = check.optionalText(body, 'instructions') ?? '';
  const maxTokens = mostTokens(check, body, 'max_output_tokens');
  check.optionalText(body, 'previous_response_id');
  // Its answer would be fetched by GET, past the response gate.
  if (check.optionalBoolean(body, 'background') === true)
    check.complain(
      "Unsupported value: 'background' must be false: an answer that is fetched later cannot be examined.",
    );
  const attached: Attached = { tools: [], text: 0, image: 0, audio: 0, file: 0, unread: false };
  const words = new Words();
  const messages = yield* readInput(check, body, words, attached);
  yield* readTools(check, body, '', attached);
  yield* readPrompt(check, body, attached);
  const parameters = yield* scalarParameters(check, body, noParameters, parameterObjects);
  if (check.problem !== undefined) return refusal(check.problem);
  const known: KnownFacts = {
    format: 'openai-responses',
    operation: 'chat',
    model,
    stream,
    choices: 1,
    system: systemOf(instructions, messages),
    messages,
    tools: attached.tools,
    images: attached.image,
    audio: attached.audio,
    files: attached.file,
    unread: attached.unread,
    maxTokens,
    parameters,
  };
  return yield* withTexts(known, { words, body, rule: requestText, except: 'input', bytes });
}

/** The text, or the items in their order, as messages; their words go into `words`. */
function* readInput(check: Check, body: JsonObject, words: Words, attached: Attached): Work<readonly Message[]> {
  const { input } = body;
  if (typeof input === 'string') {
    words.add(input);
    return [{ role: 'user', text: input }];
  }
  if (input === undefined || input === null) {
    // A prompt template may be all there is.
    if (!isJsonObject(body['prompt'])) check.complain("Missing required parameter: 'input'.");
    return [];
  }
  if (!Array.isArray(input)) {
    check.complain(
      `Invalid type for 'input': expected one of a string or array of input items, but got ${kindOf(input)} instead.`,
    );
    return [];
  }
  const messages: Message[] = [];
  for (const [i, value] of input.entries()) {
    const item = check.object(value, `input[${i}]`);
    const role = yield* readItem(check, item, `input[${i}]`, attached);
    if (check.problem !== undefined) break;
    const own = new Words();
    yield* own.collect(item, inputItems);
    const text = own.text();
    if (own.unread) attached.unread = true;
    messages.push({ role, text });
    words.add(text);
    if (i % sliceItems === sliceItems - 1 || text.length > longText) yield;
  }
  return messages;
}

/** The variables of a prompt template are texts, images or files. */
function* readPrompt(check: Check, body: JsonObject, attached: Attached): Work<void> {
  const { prompt } = body;
  if (prompt === undefined || prompt === null) return;
  const { variables } = check.object(prompt, 'prompt');
  if (variables === undefined || variables === null) return;
  const named = check.object(variables, 'prompt.variables');
  let looked = 0;
  for (const name of Object.keys(named)) {
    const value = named[name]!;
    if (typeof value !== 'string') readPart(check, value, `prompt.variables.${name.slice(0, 64)}`, attached);
    if (check.problem !== undefined) return;
    if (++looked % sliceItems === 0) yield;
  }
}

function systemOf(instructions: string, messages: readonly Message[]): string {
  const said = messages.filter(({ role }) => role === 'system' || role === 'developer').map(({ text }) => text);
  return [instructions, ...said].filter((text) => text !== '').join('\n');
}
