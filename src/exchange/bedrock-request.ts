/** What a Bedrock Converse request says. */

import { requestText } from './bedrock-text.ts';
import { names } from './check.ts';
import { refuseUndecodable } from './encoded-text.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { checkRole, FactsDraft } from './facts-draft.ts';
import type { Endpoint } from './format.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { refuseAnyModel } from './other-models.ts';
import type { Work } from './pace.ts';
import { namesOfTool } from './tool-names.ts';

const bodyNames = names(
  'messages system inferenceConfig toolConfig guardrailConfig additionalModelRequestFields ' +
    'additionalModelResponseFieldPaths promptVariables requestMetadata performanceConfig serviceTier outputConfig',
);
const messageNames = names('role content');
const blockNames = names(
  'text json image video audio document toolUse toolResult guardContent cachePoint reasoningContent searchResult ' +
    'citationsContent toolAddition toolRemoval',
);
const mediaNames = names('format source name context citations text qualifiers');
const sourceNames = names('bytes s3Location text content');
const callNames = names('toolUseId name input content status type');
const configNames = names('maxTokens temperature topP stopSequences');
const toolConfigNames = names('tools toolChoice');
const toolNames = names('toolSpec systemTool cachePoint');
const toolSpecNames = names('name description inputSchema strict');

/** Formats of documents that are words. */
const textFormats: ReadonlySet<string> = new Set(['txt', 'md', 'csv', 'html']);
/** Names by which models know a limit that Converse does not name. */
const limitNames = [
  'max_tokens',
  'max_new_tokens',
  'max_tokens_to_sample',
  'maxTokens',
  'maxTokenCount',
  'max_gen_len',
];

const messageRule = requestText.members.get('messages')!.items;

/** Reads the facts. The first thing that is wrong is what the caller hears about. */
export function* converseFacts(body: JsonValue, bytes: number, endpoint: Endpoint): Work<Reading<RequestFacts>> {
  const draft = new FactsDraft();
  const { check } = draft;
  if (endpoint.unreadable !== undefined) check.complain(endpoint.unreadable);
  const request = check.object(body, 'the body');
  check.names(request, bodyNames, '');
  refuseAnyModel(check, request, '');
  // Without messages the prompt is one that Bedrock keeps, and nobody here can read it.
  for (const [i, item] of check.requiredArray(request, 'messages').entries()) {
    if (check.problem !== undefined) break;
    const at = `messages[${i}]`;
    const message = check.object(item, at);
    check.names(message, messageNames, at);
    const role = checkRole(check, check.requiredText(message, 'role', at), at);
    yield* readBlocks(draft, check.optionalArray(message, 'content', at), `${at}.content`);
    yield* draft.addMessage(role, message, messageRule);
    yield* draft.pause();
  }
  yield* readBlocks(draft, check.optionalArray(request, 'system', ''), 'system');
  yield* draft.setSystem(request['system'], requestText.members.get('system')!);
  yield* readTools(draft, request);
  const maxTokens = readLimits(draft, request);
  return yield* draft.finish(
    { format: 'bedrock-converse', operation: 'chat', model: endpoint.model ?? '', stream: false, maxTokens },
    request,
    requestText,
    'messages',
    bytes,
  );
}

function* readBlocks(draft: FactsDraft, blocks: readonly JsonValue[], at: string): Work<void> {
  const { check } = draft;
  for (const [i, item] of blocks.entries()) {
    const place = `${at}[${i}]`;
    const block = check.object(item, place);
    check.names(block, blockNames, place);
    check.optionalText(block, 'text', place);
    for (const kind of ['image', 'video', 'audio', 'document']) {
      if (block[kind] !== undefined) yield* readMedia(draft, block[kind], kind, `${place}.${kind}`);
    }
    if (isJsonObject(block['guardContent'])) yield* readBlocks(draft, [block['guardContent']].map(bareText), place);
    for (const kind of ['toolUse', 'toolResult']) {
      if (block[kind] === undefined) continue;
      const call = check.object(block[kind], `${place}.${kind}`);
      check.names(call, callNames, `${place}.${kind}`);
      check.optionalText(call, 'name', `${place}.${kind}`);
      yield* readBlocks(draft, check.optionalArray(call, 'content', `${place}.${kind}`), `${place}.${kind}.content`);
    }
    yield* draft.pause();
  }
}

/** Guarded content is a block whose text is an object; only its image counts. */
function bareText({ text: _text, ...block }: JsonObject): JsonObject {
  return block;
}

function* readMedia(draft: FactsDraft, value: JsonValue | undefined, kind: string, at: string): Work<void> {
  const { check } = draft;
  const media = check.object(value, at);
  check.names(media, mediaNames, at);
  const format = check.optionalText(media, 'format', at) ?? '';
  check.optionalText(media, 'name', at);
  if (kind === 'image') draft.images++;
  else if (kind === 'document') draft.files++;
  else draft.audio++;
  if (media['source'] === undefined) draft.unread = true;
  if (media['source'] === undefined) return;
  const source = check.object(media['source'], `${at}.source`);
  check.names(source, sourceNames, `${at}.source`);
  const data = check.optionalText(source, 'bytes', `${at}.source`);
  if (source['s3Location'] !== undefined) draft.unread = true;
  // What is words by its format must be it; the others are looked at.
  if (data !== undefined && kind === 'document' && textFormats.has(format.toLowerCase()))
    yield* refuseUndecodable(draft.check, data, `${at}.source.bytes`);
}

function* readTools(draft: FactsDraft, request: JsonObject): Work<void> {
  const { check } = draft;
  if (request['toolConfig'] === undefined || request['toolConfig'] === null) return;
  const config = check.object(request['toolConfig'], 'toolConfig');
  check.names(config, toolConfigNames, 'toolConfig');
  for (const [i, item] of check.optionalArray(config, 'tools', 'toolConfig').entries()) {
    const at = `toolConfig.tools[${i}]`;
    const tool = check.object(item, at);
    check.names(tool, toolNames, at);
    for (const kind of ['toolSpec', 'systemTool']) {
      if (tool[kind] === undefined) continue;
      const spec = check.object(tool[kind], `${at}.${kind}`);
      check.names(spec, toolSpecNames, `${at}.${kind}`);
      draft.tools.push({ name: check.requiredText(spec, 'name', `${at}.${kind}`) });
    }
    // New kinds of tools are named by the field that asks for them.
    for (const kind of Object.keys(tool)) {
      if (kind === 'toolSpec' || kind === 'systemTool' || kind === 'cachePoint') continue;
      draft.tools.push({ name: kind });
      if (isJsonObject(tool[kind])) draft.tools.push(...namesOfTool(check, tool[kind], `${at}.${kind.slice(0, 64)}`));
    }
    yield* draft.pause();
  }
}

/** The larger of two: models differ in which one they obey. */
function readLimits(draft: FactsDraft, request: JsonObject): number | undefined {
  const { check } = draft;
  const limits: (number | undefined)[] = [];
  const given = request['inferenceConfig'];
  if (given !== undefined && given !== null) {
    const config = check.object(given, 'inferenceConfig');
    check.names(config, configNames, 'inferenceConfig');
    limits.push(check.optionalInteger(config, 'maxTokens', 0));
    draft.takeParameters(config);
  }
  const more = request['additionalModelRequestFields'];
  if (isJsonObject(more)) {
    refuseAnyModel(check, more, 'additionalModelRequestFields');
    draft.takeParameters(more);
    for (const name of limitNames) limits.push(check.optionalInteger(more, name, 0));
  }
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
