/** What an Anthropic Messages request says. */

import { requestText } from './anthropic-text.ts';
import { kindOf, names } from './check.ts';
import { type Decoded, decodedFile, isTextType, refuseDisguised, refuseUndecodable } from './encoded-text.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { checkRole, FactsDraft } from './facts-draft.ts';
import type { Endpoint } from './format.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { refuseNamed, refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';
import { isMedia } from './text-rules.ts';
import { namesOfTool } from './tool-names.ts';

const bodyNames = names(
  'model messages system max_tokens stop_sequences stream temperature top_p top_k tools tool_choice metadata thinking ' +
    'mcp_servers container context_management service_tier output_config output_format cache_control inference_geo speed ' +
    'compaction fallbacks thread diagnostics billing_policy user_profile_id workspace_id',
);
const messageNames = names('role content id type');
const blockNames = names(
  'type text source title context citations cache_control id name input tool_use_id content is_error thinking signature ' +
    'data server_name caller file_id encrypted_content url page_age stdout stderr return_code error_code',
);
const sourceNames = names('type media_type data url file_id content');
const toolNames = names(
  'type name description input_schema cache_control strict max_uses allowed_domains blocked_domains user_location ' +
    'defer_loading input_examples allowed_callers mcp_server_name configs default_config model',
);
const serverNames = names('type name url authorization_token tool_configuration');
const thinkingNames = names('type budget_tokens display');

const parameters = 'temperature top_p top_k service_tier speed inference_geo'.split(' ');
const messageRule = requestText.members.get('messages')!.items;
const systemRule = requestText.members.get('system')!;
/** Sources whose words are in the request. */
const readSources = new Set(['base64', 'text', 'content']);
/** Blocks that stand for something which is not in them, where they have no source. */
const unreadBlocks = new Set(['image', 'document', 'container_upload']);
/** Hosted tools have a name of their own beside their type, always the same; other names are the caller's. */
const hostedTool =
  /^(web_search|web_fetch|code_execution|bash|computer|memory|tool_search_tool_regex|tool_search_tool_bm25|text_editor)_[0-9]{8}$/;
const editorName = /^str_replace_(?:based_edit_tool|editor)$/;
/** New kinds of blocks come often; whatever they are, all that is in them is words. */
const blockType = /^[a-z][a-z0-9_]{0,63}$/;

/** Reads the facts. The first thing that is wrong is what the caller hears about. */
export function* messagesFacts(body: JsonValue, bytes: number, endpoint: Endpoint): Work<Reading<RequestFacts>> {
  const draft = new FactsDraft({ filesByWords: false });
  const { check } = draft;
  const request = check.object(body, 'the body');
  check.names(request, bodyNames, '');
  refuseOtherModels(check, request);
  const model = check.requiredText(request, 'model');
  const stream = check.optionalBoolean(request, 'stream') ?? false;
  const maxTokens = check.optionalInteger(request, 'max_tokens', 0);
  for (const [i, item] of check.requiredArray(request, 'messages').entries()) {
    if (check.problem !== undefined) break;
    const at = `messages[${i}]`;
    const message = check.object(item, at);
    check.names(message, messageNames, at);
    const role = checkRole(check, check.requiredText(message, 'role', at), at);
    yield* readContent(draft, message['content'], `${at}.content`);
    yield* draft.addMessage(role, message, messageRule);
    yield* draft.pause();
  }
  yield* readContent(draft, request['system'] ?? '', 'system');
  yield* draft.setSystem(request['system'], systemRule);
  yield* readTools(draft, request);
  draft.takeParameters(request, parameters);
  readThinking(draft, request['thinking']);
  const counts = endpoint.operation === 'count_tokens';
  return yield* draft.finish(
    { format: 'anthropic-messages', operation: endpoint.operation, model, stream: stream && !counts, maxTokens },
    request,
    requestText,
    'messages',
    bytes,
  );
}

/** A text, or blocks. */
function* readContent(draft: FactsDraft, content: JsonValue | undefined, at: string): Work<void> {
  if (typeof content === 'string') return;
  if (!Array.isArray(content)) {
    draft.check.complain(
      `Invalid type for '${at}': expected one of a string or array of objects, but got ${kindOf(content)} instead.`,
    );
    return;
  }
  yield* readBlocks(draft, content, at);
}

function* readBlocks(draft: FactsDraft, blocks: readonly JsonValue[], at: string): Work<void> {
  for (const [i, block] of blocks.entries()) {
    yield* readBlock(draft, draft.check.object(block, `${at}[${i}]`), `${at}[${i}]`);
    yield* draft.pause();
  }
}

function* readBlock(draft: FactsDraft, block: JsonObject, at: string): Work<void> {
  const { check } = draft;
  check.names(block, blockNames, at);
  const type = check.requiredText(block, 'type', at);
  if (!blockType.test(type)) check.complain(`Invalid value for '${at}.type': expected the type of a content block.`);
  if (type === 'text') check.requiredText(block, 'text', at);
  else if (type === 'image') draft.images++;
  else if (type === 'document' || type === 'container_upload') draft.files++;
  for (const name of ['name', 'title', 'context', 'thinking']) check.optionalText(block, name, at);
  if (isJsonObject(block['source'])) yield* readSource(draft, block['source'], `${at}.source`);
  else if (unreadBlocks.has(type)) draft.unread = true;
  yield* readData(draft, block, type);
  const { content } = block;
  if (Array.isArray(content)) yield* readBlocks(draft, content, `${at}.content`);
  // Results of server tools: an object of its own type.
  else if (isJsonObject(content)) yield* readBlock(draft, content, `${at}.content`);
}

/** What redacted thinking has in `data` the model's server alone can read; of a block that we do not know, it may be words. */
function* readData(draft: FactsDraft, { data }: JsonObject, type: string): Work<void> {
  if (typeof data !== 'string' || data === '' || type === 'redacted_thinking') return;
  draft.unread = true;
  if ((yield* isMedia('binary', data)) && (yield* decodedFile(data)).kind === 'bytes') draft.addText(data);
}

function* readSource(draft: FactsDraft, source: JsonObject, at: string): Work<void> {
  const { check } = draft;
  check.names(source, sourceNames, at);
  const type = check.requiredText(source, 'type', at);
  const data = check.optionalText(source, 'data', at) ?? '';
  const mediaType = check.optionalText(source, 'media_type', at) ?? '';
  // An address, or the id of a file: what is there nobody here reads.
  if (source['url'] !== undefined || source['file_id'] !== undefined || !readSources.has(type)) draft.unread = true;
  if (type === 'text') yield* refuseDisguised(check, data, `${at}.data`);
  else if (isTextType(mediaType)) yield* refuseUndecodable(check, data, `${at}.data`);
  else if (data !== '' && !isRead(yield* decodedFile(data))) draft.unread = true;
  if (Array.isArray(source['content'])) yield* readBlocks(draft, source['content'], `${at}.content`);
}

function isRead(file: Decoded): boolean {
  return file.kind === 'text' && file.exact;
}

/** Tools of the caller's own by their name, hosted ones by their type (and any other name), MCP servers by theirs. */
function* readTools(draft: FactsDraft, request: JsonObject): Work<void> {
  const { check } = draft;
  for (const [i, item] of check.optionalArray(request, 'tools', '').entries()) {
    const at = `tools[${i}]`;
    const tool = check.object(item, at);
    check.names(tool, toolNames, at);
    const type = check.optionalText(tool, 'type', at) ?? 'custom';
    refuseNamed(check, tool, anotherModel, at);
    if (type === 'custom') check.requiredText(tool, 'name', at);
    draft.tools.push(...namesOfTool(check, tool, at, type === 'custom' ? undefined : type).filter(isItsOwn(type)));
    yield* draft.pause();
  }
  for (const [i, item] of check.optionalArray(request, 'mcp_servers', '').entries()) {
    const at = `mcp_servers[${i}]`;
    const server = check.object(item, at);
    check.names(server, serverNames, at);
    const name = check.optionalText(server, 'name', at);
    const url = check.optionalText(server, 'url', at);
    draft.tools.push({ name: name ?? url ?? 'mcp_servers' });
    yield* draft.pause();
  }
}

const anotherModel: ReadonlySet<string> = new Set(['model']);

/** Whether a name says more than the type of the hosted tool. */
function isItsOwn(type: string): (tool: { readonly name: string }) => boolean {
  const kind = hostedTool.exec(type)?.[1];
  return ({ name }) => kind === undefined || (name !== kind && !(kind === 'text_editor' && editorName.test(name)));
}

function readThinking(draft: FactsDraft, value: JsonValue | undefined): void {
  if (value === undefined || value === null) return;
  const thinking = draft.check.object(value, 'thinking');
  draft.check.names(thinking, thinkingNames, 'thinking');
  draft.takeParameters(thinking, ['type', 'budget_tokens'], 'thinking.');
}
