/** What a Gemini request says. */
import { addEncodedText, isTextType } from './encoded-text.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { checkRole, FactsDraft } from './facts-draft.ts';
import type { Endpoint } from './format.ts';
import { requestText, snake } from './gemini-text.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type { Work } from './pace.ts';

const names = (text: string): ReadonlySet<string> => new Set(text.split(' ').flatMap((name) => [name, snake(name)]));

const bodyNames = names(
  'model contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent labels serviceTier store',
);
const countNames = names('generateContentRequest');
const contentNames = names('role parts');
const partNames = names(
  'text inlineData fileData functionCall functionResponse executableCode codeExecutionResult thought thoughtSignature ' +
    'videoMetadata mediaResolution partMetadata toolCall toolResponse',
);
const blobNames = names('mimeType data displayName fileUri');
const callNames = names('id name args response parts scheduling willContinue partialArgs');
const configNames = names(
  'maxOutputTokens candidateCount stopSequences temperature topP topK seed responseMimeType responseSchema ' +
    'responseJsonSchema responseModalities presencePenalty frequencyPenalty logprobs responseLogprobs thinkingConfig ' +
    'speechConfig mediaResolution imageConfig enableEnhancedCivicAnswers audioTimestamp',
);
const toolNames = names(
  'functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext computerUse fileSearch googleMaps ' +
    'retrieval enterpriseWebSearch mcpServers',
);
const functionNames = names('name description parameters parametersJsonSchema response responseJsonSchema behavior');
const mostCandidates = 128;

/** Reads the facts. The first thing that is wrong is what the caller hears about. */
export function* contentFacts(body: JsonValue, bytes: number, endpoint: Endpoint): Work<Reading<RequestFacts>> {
  const draft = new FactsDraft();
  const { check } = draft;
  const outer = check.object(body, 'the body');
  const counts = endpoint.operation === 'count_tokens';
  const inner = counts ? member(draft, outer, 'generateContentRequest', countNames, '') : undefined;
  if (inner !== undefined && member(draft, outer, 'contents', bodyNames, '') !== undefined)
    check.complain("Invalid request: 'contents' and 'generateContentRequest' at once.");
  const at = inner === undefined ? '' : 'generateContentRequest';
  const request = inner === undefined ? outer : check.object(inner, at);
  yield* readMessages(draft, request, at, inner === undefined);
  yield* readTools(draft, request, at);
  checkModel(draft, request, endpoint.model ?? '', at);
  const config = readConfig(draft, request, at);
  const rule = inner === undefined ? requestText : requestText.members.get('generateContentRequest')!;
  return yield* draft.finish(
    {
      format: 'gemini',
      operation: endpoint.operation,
      model: endpoint.model ?? '',
      stream: endpoint.stream ?? false,
      ...config,
    },
    request,
    rule,
    'contents',
    bytes,
  );
}

/** The value of a member in either spelling. Both at once are refused: two parsers could read them differently. */
function member(
  draft: FactsDraft,
  object: JsonObject,
  name: string,
  known: ReadonlySet<string>,
  at: string,
): JsonValue | undefined {
  draft.check.names(object, known, at);
  const other = snake(name);
  const [first, second] = [object[name], other === name ? undefined : object[other]];
  if (first !== undefined && second !== undefined)
    draft.check.complain(`Invalid request: '${name}' and '${other}' at once${at && ` in '${at}'`}.`);
  return first ?? second ?? undefined;
}

/** Items of a list; Google's servers take one object for a list of one. */
function listOf(draft: FactsDraft, value: JsonValue | undefined, at: string): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  return [draft.check.object(value, at)];
}

const join = (at: string, name: string): string => (at === '' ? name : `${at}.${name}`);

function* readMessages(draft: FactsDraft, request: JsonObject, at: string, isBody: boolean): Work<void> {
  const { check } = draft;
  const rules = isBody ? requestText : requestText.members.get('generateContentRequest')!;
  const contents = listOf(draft, member(draft, request, 'contents', bodyNames, at), join(at, 'contents'));
  if (contents.length === 0) check.complain(`Missing required parameter: '${join(at, 'contents')}'.`);
  for (const [i, item] of contents.entries()) {
    if (check.problem !== undefined) return;
    const place = join(at, `contents[${i}]`);
    const content = check.object(item, place);
    check.names(content, contentNames, place);
    const role = checkRole(check, check.optionalText(content, 'role', place) ?? 'user', place);
    yield* readParts(draft, content, place);
    yield* draft.addMessage(role, content, rules.members.get('contents')!.items);
    yield* draft.pause();
  }
  const instruction = member(draft, request, 'systemInstruction', bodyNames, at);
  if (instruction === undefined) return;
  const place = join(at, 'systemInstruction');
  const content = check.object(instruction, place);
  check.names(content, contentNames, place);
  yield* readParts(draft, content, place);
  yield* draft.setSystem(content, rules.members.get('systemInstruction')!);
}

function* readParts(draft: FactsDraft, content: JsonObject, at: string): Work<void> {
  for (const [i, item] of listOf(draft, content['parts'], `${at}.parts`).entries()) {
    const place = `${at}.parts[${i}]`;
    const part = draft.check.object(item, place);
    draft.check.optionalText(part, 'text', place);
    for (const name of ['inlineData', 'fileData'])
      yield* readMedia(draft, member(draft, part, name, partNames, place), `${place}.${name}`);
    for (const name of ['functionCall', 'functionResponse'])
      yield* readCall(draft, member(draft, part, name, partNames, place), `${place}.${name}`);
    for (const name of twoWords) member(draft, part, name, partNames, place);
    yield* draft.pause();
  }
}

const twoWords = ['executableCode', 'codeExecutionResult', 'thoughtSignature', 'videoMetadata', 'partMetadata'];

function* readMedia(draft: FactsDraft, value: JsonValue | undefined, at: string): Work<void> {
  if (value === undefined) return;
  const blob = draft.check.object(value, at);
  const type = member(draft, blob, 'mimeType', blobNames, at) ?? '';
  for (const name of ['displayName', 'fileUri']) member(draft, blob, name, blobNames, at);
  if (typeof type !== 'string') {
    draft.check.complain(`Invalid type for '${at}.mimeType': expected a string.`);
    return;
  }
  draft.countMedia(type);
  const data = draft.check.optionalText(blob, 'data', at);
  if (data !== undefined && isTextType(type)) yield* addEncodedText(draft, data, `${at}.data`);
}

function* readCall(draft: FactsDraft, value: JsonValue | undefined, at: string): Work<void> {
  if (value === undefined) return;
  const call = draft.check.object(value, at);
  draft.check.names(call, callNames, at);
  draft.check.optionalText(call, 'name', at);
  // Results of a function may be media.
  yield* readParts(draft, call, at);
}

/** Functions by their name, hosted tools by the field that asks for them. */
function* readTools(draft: FactsDraft, request: JsonObject, at: string): Work<void> {
  const { check } = draft;
  const tools = listOf(draft, member(draft, request, 'tools', bodyNames, at), join(at, 'tools'));
  for (const [i, item] of tools.entries()) {
    const place = join(at, `tools[${i}]`);
    const tool = check.object(item, place);
    const declared = member(draft, tool, 'functionDeclarations', toolNames, place);
    for (const [j, value] of listOf(draft, declared, `${place}.functionDeclarations`).entries()) {
      const where = `${place}.functionDeclarations[${j}]`;
      const declaration = check.object(value, where);
      check.names(declaration, functionNames, where);
      draft.tools.push({ name: check.requiredText(declaration, 'name', where) });
      yield* draft.pause();
    }
    for (const name of Object.keys(tool)) {
      const camel = name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
      if (camel === 'functionDeclarations') continue;
      member(draft, tool, camel, toolNames, place);
      draft.tools.push({ name: camel });
      yield* draft.pause();
    }
  }
}

/** The path says which model answers; a body that says another one is refused. */
function checkModel(draft: FactsDraft, request: JsonObject, model: string, at: string): void {
  const said = draft.check.optionalText(request, 'model', at);
  if (said !== undefined && said !== model && said !== `models/${model}`)
    draft.check.complain(`Invalid value for '${join(at, 'model')}': the path names another model.`);
}

function readConfig(draft: FactsDraft, request: JsonObject, at: string) {
  const { check } = draft;
  for (const name of ['toolConfig', 'safetySettings']) member(draft, request, name, bodyNames, at);
  const cached = member(draft, request, 'cachedContent', bodyNames, at);
  draft.takeParameters({ cachedContent: cached ?? null });
  const value = member(draft, request, 'generationConfig', bodyNames, at);
  if (value === undefined) return {};
  const place = join(at, 'generationConfig');
  const config = check.object(value, place);
  const integer = (name: string, most?: number): number | undefined => {
    const found = member(draft, config, name, configNames, place);
    return found === undefined ? undefined : check.optionalInteger({ [name]: found }, name, 1, most);
  };
  for (const name of ['responseSchema', 'stopSequences', 'thinkingConfig', 'responseMimeType'])
    member(draft, config, name, configNames, place);
  draft.takeParameters(config);
  const thinking = config['thinkingConfig'] ?? config['thinking_config'];
  if (isJsonObject(thinking)) draft.takeParameters(thinking, undefined, 'thinkingConfig.');
  return { choices: integer('candidateCount', mostCandidates), maxTokens: integer('maxOutputTokens') };
}
