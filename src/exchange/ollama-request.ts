/** What Ollama's requests say. */
import { names } from './check.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { checkRole, FactsDraft } from './facts-draft.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { chatRequestText, generateRequestText } from './ollama-text.ts';
import { refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';

const shared = 'model stream format options keep_alive think truncate shift logprobs top_logprobs';
const chatNames = names(`${shared} messages tools`);
const generateNames = names(`${shared} prompt suffix system template context raw images width height steps`);
const messageNames = names('role content thinking images tool_calls tool_name tool_call_id');
const toolNames = names('type function items');
const functionNames = names('name description parameters arguments index');
const optionNames = names(
  'num_keep seed num_predict top_k top_p min_p typical_p repeat_last_n temperature repeat_penalty presence_penalty ' +
    'frequency_penalty mirostat mirostat_tau mirostat_eta penalize_newline stop numa num_ctx num_batch num_gpu main_gpu ' +
    'use_mmap num_thread',
);
const parameters = 'raw think keep_alive truncate shift logprobs top_logprobs'.split(' ');

/** Reads the facts of `/api/chat`. The first thing that is wrong is what the caller hears about. */
export function* chatFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  const draft = new FactsDraft();
  const { check } = draft;
  const request = check.object(body, 'the body');
  check.names(request, chatNames, '');
  const head = readHead(draft, request);
  const rule = chatRequestText.members.get('messages')!.items;
  // Without messages the model is only loaded.
  for (const [i, item] of check.optionalArray(request, 'messages', '').entries()) {
    if (check.problem !== undefined) break;
    const at = `messages[${i}]`;
    const message = check.object(item, at);
    check.names(message, messageNames, at);
    const role = checkRole(check, check.requiredText(message, 'role', at), at);
    for (const name of ['content', 'thinking']) check.optionalText(message, name, at);
    yield* readImages(draft, message, at);
    yield* readFunctions(draft, check.optionalArray(message, 'tool_calls', at), `${at}.tool_calls`);
    yield* draft.addMessage(role, message, rule);
    yield* draft.pause();
  }
  const tools = check.optionalArray(request, 'tools', '');
  for (const name of yield* readFunctions(draft, tools, 'tools')) draft.tools.push({ name });
  return yield* draft.finish(
    { format: 'ollama-chat', operation: 'chat', ...head },
    request,
    chatRequestText,
    'messages',
    bytes,
  );
}

/** Reads the facts of `/api/generate`: its prompt is the one message. */
export function* generateFacts(body: JsonValue, bytes: number): Work<Reading<RequestFacts>> {
  const draft = new FactsDraft();
  const { check } = draft;
  const request = check.object(body, 'the body');
  check.names(request, generateNames, '');
  const head = readHead(draft, request);
  for (const name of ['suffix', 'system', 'template']) check.optionalText(request, name);
  const prompt = check.optionalText(request, 'prompt') ?? '';
  yield* readImages(draft, request, '');
  const { context } = request;
  if (context !== undefined && context !== null && !(Array.isArray(context) && context.length === 0))
    check.complain("Invalid 'context': token ids cannot be examined. Send the conversation as text, to /api/chat.");
  if (check.problem === undefined) yield* draft.addMessage('user', prompt, generateRequestText.members.get('prompt')!);
  yield* draft.setSystem(request['system'], generateRequestText.members.get('system')!);
  return yield* draft.finish(
    { format: 'ollama-generate', operation: 'text_completion', ...head },
    request,
    generateRequestText,
    'prompt',
    bytes,
  );
}

function readHead(draft: FactsDraft, request: JsonObject) {
  const { check } = draft;
  const model = check.requiredText(request, 'model');
  refuseOtherModels(check, request);
  // Ollama streams unless it is told not to.
  const stream = check.optionalBoolean(request, 'stream') ?? true;
  draft.takeParameters(request, parameters);
  const { options } = request;
  if (options === undefined || options === null) return { model, stream };
  const given = check.object(options, 'options');
  check.names(given, optionNames, 'options');
  draft.takeParameters(given);
  // Below nothing: until the model ends, or the context is full.
  const limit = check.optionalInteger(given, 'num_predict', -2);
  return { model, stream, maxTokens: limit === undefined || limit < 0 ? undefined : limit };
}

function* readImages(draft: FactsDraft, object: JsonObject, at: string): Work<void> {
  const place = at === '' ? 'images' : `${at}.images`;
  for (const [i, image] of draft.check.optionalArray(object, 'images', at).entries()) {
    if (typeof image !== 'string') draft.check.complain(`Invalid type for '${place}[${i}]': expected a string.`);
    draft.images++;
    yield* draft.pause();
  }
}

/** The names of functions, on offer or called. */
function* readFunctions(draft: FactsDraft, items: readonly JsonValue[], at: string): Work<string[]> {
  const { check } = draft;
  const found: string[] = [];
  for (const [i, item] of items.entries()) {
    const place = `${at}[${i}]`;
    const tool = check.object(item, place);
    check.names(tool, toolNames, place);
    if (isJsonObject(tool['function'])) {
      check.names(tool['function'], functionNames, `${place}.function`);
      found.push(check.requiredText(tool['function'], 'name', `${place}.function`));
    } else found.push(check.requiredText(tool, 'type', place));
    yield* draft.pause();
  }
  return found;
}
