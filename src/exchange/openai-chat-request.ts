/** What an OpenAI chat request says. Refusals are worded as OpenAI words them. */
import { Check, kindOf } from './check.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { requestText } from './openai-chat-text.ts';
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
import { refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';
import { namesOfTool } from './tool-names.ts';
import { type KnownFacts, withTexts } from './with-texts.ts';
import { Words } from './words.ts';

const bodyNames = namesAt(requestText);
const messageNames = namesAt(requestText, 'messages', '[]');
const partNames = namesAt(requestText, 'messages', '[]', 'content', '[]');
const toolNames = namesAt(requestText, 'tools', '[]');
const functionNames = namesAt(requestText, 'tools', '[]', 'function');
/** Facts of their own. */
const noParameters = new Set(['model', 'stream', 'messages']);
/** Objects whose scalars are parameters too. */
const parameterObjects = [
  'stream_options',
  'response_format',
  'structured_outputs',
  'chat_template_kwargs',
  'mm_processor_kwargs',
  'reasoning',
  'thinking',
  'web_search_options',
  'prediction',
  'audio',
  'metadata',
  'vllm_xargs',
  'kv_transfer_params',
];

const roles = ['system', 'assistant', 'user', 'function', 'tool', 'developer'];
/** Which part types count as what; `video_url` and `audio_url` are vLLM's. */
const partTypes = new Map<string, 'text' | 'image' | 'audio' | 'file'>([
  ['text', 'text'],
  ['refusal', 'text'],
  ['image_url', 'image'],
  ['input_audio', 'audio'],
  ['audio_url', 'audio'],
  ['video_url', 'audio'],
  ['file', 'file'],
]);
const mostChoices = 128;

/** Reads the facts. The first thing that is wrong is what the caller hears about. */
export function* chatFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  const check = new Check();
  if (!isJsonObject(body)) return notAnObject(body);
  check.names(body, bodyNames, '');
  refuseOtherModels(check, body);
  refuseUnreadable(check, body);
  const model = check.requiredText(body, 'model');
  const stream = check.optionalBoolean(body, 'stream') ?? false;
  const choices = check.optionalInteger(body, 'n', 1, mostChoices) ?? 1;
  const maxTokens = mostTokens(check, body, 'max_completion_tokens', 'max_tokens');
  const counts = { text: 0, image: 0, audio: 0, file: 0, unread: false };
  const messages: { role: string; text: string }[] = [];
  const words = new Words();
  for (const [i, item] of check.requiredArray(body, 'messages').entries()) {
    if (check.problem !== undefined) break;
    const at = `messages[${i}]`;
    const message = check.object(item, at);
    const role = checkMessage(check, message, at, counts);
    const text = new Words();
    yield* text.collect(message, requestText.members.get('messages')!.items);
    if (text.unread) counts.unread = true;
    messages.push({ role, text: text.text() });
    words.add(messages[i]!.text);
    if (i % sliceItems === sliceItems - 1 || messages[i]!.text.length > longText) yield;
  }
  const tools = yield* toolFacts(check, body);
  const parameters = yield* scalarParameters(check, body, noParameters, parameterObjects);
  if (check.problem !== undefined) return refusal(check.problem);
  const known: KnownFacts = {
    format: 'openai-chat',
    operation: 'chat',
    model,
    stream,
    choices,
    system: messages
      .filter(({ role }) => role === 'system' || role === 'developer')
      .map((message) => message.text)
      .join('\n'),
    messages,
    tools,
    images: counts.image,
    audio: counts.audio,
    files: counts.file,
    unread: counts.unread,
    maxTokens,
    parameters,
  };
  return yield* withTexts(known, { words, body, rule: requestText, except: 'messages', bytes });
}

/** Parts by their kinds, and whether one of them is not in the request but only named there. */
interface Counts {
  text: number;
  image: number;
  audio: number;
  file: number;
  unread: boolean;
}

function checkMessage(check: Check, message: JsonObject, at: string, counts: Counts): string {
  check.names(message, messageNames, at);
  const role = check.requiredText(message, 'role', at);
  // Other roles exist (chat templates define them); one that differs from a known one in its case is a trap.
  if (!/^[a-z][a-z0-9_-]{0,63}$/.test(role))
    check.complain(`Invalid value for '${at}.role'. Supported values are: ${roles.map((r) => `'${r}'`).join(', ')}.`);
  for (const name of ['name', 'refusal', 'tool_call_id', 'reasoning_content']) check.optionalText(message, name, at);
  const { content } = message;
  if (Array.isArray(content))
    for (const [i, part] of content.entries()) checkPart(check, part, `${at}.content[${i}]`, counts);
  else if (content !== undefined && content !== null && typeof content !== 'string')
    check.complain(
      `Invalid type for '${at}.content': expected one of a string or array of objects, but got ${kindOf(content)} instead.`,
    );
  for (const [i, item] of check.optionalArray(message, 'tool_calls', at).entries()) {
    const call = check.object(item, `${at}.tool_calls[${i}]`);
    if (call['function'] === undefined) continue;
    const called = check.object(call['function'], `${at}.tool_calls[${i}].function`);
    check.optionalText(called, 'name', `${at}.tool_calls[${i}].function`);
  }
  return role;
}

function checkPart(check: Check, value: JsonValue, at: string, counts: Counts): undefined {
  const part = check.object(value, at);
  check.names(part, partNames, at);
  const type = check.requiredText(part, 'type', at);
  const kind = partTypes.get(type);
  if (kind === undefined)
    return check.complain(
      `Invalid value for '${at}.type'. Supported values are: ${[...partTypes.keys()].map((t) => `'${t}'`).join(', ')}.`,
    );
  counts[kind]++;
  if (kind === 'text') check.requiredText(part, type, at);
  else if (!holdsData(part[type])) counts.unread = true;
}

/** Where each kind of part has its data; that is read, or told to be media, with the words. */
const dataNames = ['url', 'data', 'file_data'];

function holdsData(value: JsonValue | undefined): boolean {
  if (!isJsonObject(value) || (value['file_id'] !== undefined && value['file_id'] !== null)) return false;
  return dataNames.some((name) => typeof value[name] === 'string');
}

/** Names of the functions and tools on offer; a tool without a name of its own (a hosted one) is named by its type. */
function* toolFacts(check: Check, body: JsonObject): Work<{ name: string }[]> {
  const tools: { name: string }[] = [];
  for (const [i, item] of check.optionalArray(body, 'tools', '').entries()) {
    const at = `tools[${i}]`;
    const tool = check.object(item, at);
    check.names(tool, toolNames, at);
    const type = check.requiredText(tool, 'type', at);
    const isOwn = type === 'function' || type === 'custom';
    if (isOwn) functionName(check, check.object(tool[type], `${at}.${type}`), `${at}.${type}`);
    for (const kind of ['function', 'custom'])
      if (isJsonObject(tool[kind])) check.names(tool[kind], functionNames, `${at}.${kind}`);
    tools.push(...namesOfTool(check, tool, at, isOwn ? undefined : type));
    if (i % sliceItems === sliceItems - 1) yield;
  }
  for (const [i, item] of check.optionalArray(body, 'functions', '').entries()) {
    tools.push({ name: functionName(check, check.object(item, `functions[${i}]`), `functions[${i}]`) });
    if (i % sliceItems === sliceItems - 1) yield;
  }
  // Without a tool of its own: the model searches where this is there.
  if (isJsonObject(body['web_search_options'])) tools.push({ name: 'web_search' });
  return tools;
}

function functionName(check: Check, value: JsonObject, at: string): string {
  check.names(value, functionNames, at);
  return check.requiredText(value, 'name', at);
}
