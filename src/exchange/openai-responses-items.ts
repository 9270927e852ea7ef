/** The items of a Responses request: what each is, who says it, and what is attached to it. */
import { type Check, kindOf } from './check.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { namesAt, sliceItems } from './openai-request.ts';
import { requestText } from './openai-responses-text.ts';
import { refuseNamed } from './other-models.ts';
import type { Work } from './pace.ts';
import { namesOfTool } from './tool-names.ts';

/** Who speaks in an item that is no message. */
const speakers: ReadonlyMap<string, string> = new Map(
  Object.entries({
    assistant:
      'reasoning function_call custom_tool_call file_search_call web_search_call computer_call image_generation_call ' +
      'code_interpreter_call local_shell_call shell_call apply_patch_call mcp_call mcp_approval_request tool_search_call ' +
      'compaction program',
    tool:
      'function_call_output custom_tool_call_output computer_call_output local_shell_call_output shell_call_output ' +
      'apply_patch_call_output mcp_list_tools tool_search_output program_output',
    user: 'mcp_approval_response',
    developer: 'additional_tools configuration_update compaction_trigger',
    // What it stands for is at the model: rules can tell it by its role.
    item_reference: 'item_reference',
  }).flatMap(([role, types]) => types.split(' ').map((type) => [type, role] as const)),
);
/** Outputs that are a text or a list of parts; those of other items have forms of their own. */
const partOutputs = new Set(['function_call_output', 'custom_tool_call_output']);
/** Items that offer tools beside those of the request. */
const offering = new Set(['additional_tools', 'tool_search_output', 'mcp_list_tools']);

const partTypes = new Map<string, 'text' | 'image' | 'audio' | 'file'>([
  ['input_text', 'text'],
  ['output_text', 'text'],
  ['text', 'text'],
  ['summary_text', 'text'],
  ['reasoning_text', 'text'],
  ['refusal', 'text'],
  ['input_image', 'image'],
  ['computer_screenshot', 'image'],
  ['input_audio', 'audio'],
  ['input_file', 'file'],
]);

const itemNames = namesAt(requestText, 'input', '[]');
const partNames = namesAt(requestText, 'input', '[]', 'content', '[]');
const toolNames = namesAt(requestText, 'tools', '[]');
const roleForm = /^[a-z][a-z0-9_-]{0,63}$/;

/** What is attached to a request, and on offer in it, as its items are read. */
export interface Attached {
  readonly tools: { name: string }[];
  text: number;
  image: number;
  audio: number;
  file: number;
  /** Something is only named there: a file's id or address, an item that the server keeps. */
  unread: boolean;
}

/** Checks an item and counts what is attached to it: who says it. */
export function* readItem(check: Check, item: JsonObject, at: string, attached: Attached): Work<string> {
  check.names(item, itemNames, at);
  const type = check.optionalText(item, 'type', at) ?? typeWithout(item);
  if (type === 'message') return yield* readMessage(check, item, at, attached);
  const role = speakers.get(type);
  if (type === 'item_reference') attached.unread = true;
  if (role === undefined) {
    check.complain(
      `Invalid value for '${at}.type'. Supported values are: ${['message', ...speakers.keys()].map((t) => `'${t}'`).join(', ')}.`,
    );
    return '';
  }
  for (const name of ['id', 'call_id', 'name', 'encrypted_content']) check.optionalText(item, name, at);
  yield* readParts(check, check.optionalArray(item, 'content', at), `${at}.content`, attached);
  yield* readParts(check, check.optionalArray(item, 'summary', at), `${at}.summary`, attached);
  if (partOutputs.has(type)) yield* readContent(check, item, 'output', at, attached);
  else if (type === 'computer_call_output') readPart(check, item['output'] ?? null, `${at}.output`, attached);
  if (type === 'image_generation_call' && typeof item['result'] === 'string') attached.image++;
  for (const output of check.optionalArray(item, 'outputs', at))
    if (isJsonObject(output) && output['type'] === 'image') attached.image++;
  if (offering.has(type)) yield* readTools(check, item, at, attached, type !== 'mcp_list_tools');
  return role;
}

/** OpenAI takes messages, and references, without a type. */
function typeWithout(item: JsonObject): string {
  if (item['role'] !== undefined) return 'message';
  return item['id'] !== undefined && Object.keys(item).length === 1 ? 'item_reference' : '';
}

function* readMessage(check: Check, item: JsonObject, at: string, attached: Attached): Work<string> {
  const role = check.requiredText(item, 'role', at);
  if (!roleForm.test(role))
    check.complain(
      `Invalid value for '${at}.role'. Supported values are: 'assistant', 'system', 'developer', and 'user'.`,
    );
  yield* readContent(check, item, 'content', at, attached);
  return role;
}

/** A text or a list of parts. */
function* readContent(check: Check, item: JsonObject, name: string, at: string, attached: Attached): Work<void> {
  const value = item[name];
  if (typeof value === 'string') return;
  if (value === undefined || value === null) check.complain(`Missing required parameter: '${at}.${name}'.`);
  else if (!Array.isArray(value))
    check.complain(
      `Invalid type for '${at}.${name}': expected one of a string or array of objects, but got ${kindOf(value)} instead.`,
    );
  else yield* readParts(check, value, `${at}.${name}`, attached);
}

function* readParts(check: Check, parts: readonly JsonValue[], at: string, attached: Attached): Work<void> {
  for (const [i, part] of parts.entries()) {
    readPart(check, part, `${at}[${i}]`, attached);
    if (check.problem !== undefined) return;
    if (i % sliceItems === sliceItems - 1) yield;
  }
}

export function readPart(check: Check, value: JsonValue, at: string, attached: Attached): undefined {
  const part = check.object(value, at);
  check.names(part, partNames, at);
  const type = check.requiredText(part, 'type', at);
  const kind = partTypes.get(type);
  if (kind === undefined)
    return check.complain(
      `Invalid value for '${at}.type'. Supported values are: ${[...partTypes.keys()].map((t) => `'${t}'`).join(', ')}.`,
    );
  attached[kind]++;
  if (kind === 'text') check.requiredText(part, type === 'refusal' ? 'refusal' : 'text', at);
  for (const name of ['filename', 'file_id', 'file_url', 'image_url']) check.optionalText(part, name, at);
  if (kind !== 'text' && !holdsData(part)) attached.unread = true;
}

/** Whether all of a file is in its part: that is read, or told to be media, with the words. */
function holdsData(part: JsonObject): boolean {
  const isNamed = ['file_id', 'file_url'].some((name) => part[name] !== undefined && part[name] !== null);
  return !isNamed && ['image_url', 'file_data', 'input_audio'].some((name) => part[name] !== undefined);
}

const anotherModel: ReadonlySet<string> = new Set(['model']);

/** Names of the tools on offer; a hosted one is named by its type, and one in a namespace by itself as well. */
export function* readTools(check: Check, from: JsonObject, at: string, attached: Attached, typed = true): Work<void> {
  const place = at === '' ? 'tools' : `${at}.tools`;
  for (const [i, value] of check.optionalArray(from, 'tools', at).entries()) {
    if (check.problem !== undefined) return;
    const tool = check.object(value, `${place}[${i}]`);
    check.names(tool, toolNames, `${place}[${i}]`);
    const type = typed ? check.requiredText(tool, 'type', `${place}[${i}]`) : 'function';
    const isNamed = type === 'function' || type === 'custom' || type === 'namespace';
    if (isNamed) check.requiredText(tool, 'name', `${place}[${i}]`);
    // The model that draws is no model that answers.
    if (type !== 'image_generation') refuseNamed(check, tool, anotherModel, `${place}[${i}]`);
    attached.tools.push(...namesOfTool(check, tool, `${place}[${i}]`, isNamed ? undefined : type));
    if (type === 'namespace') yield* readTools(check, tool, `${place}[${i}]`, attached);
    if (i % sliceItems === sliceItems - 1) yield;
  }
}
