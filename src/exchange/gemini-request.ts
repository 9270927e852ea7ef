/** What a Gemini request says. */
import { isTextType, refuseUndecodable } from './encoded-text.ts';
import type { Reading, RequestFacts } from './facts.ts';
import { checkRole, FactsDraft } from './facts-draft.ts';
import type { Endpoint } from './format.ts';
import { requestText, snake } from './gemini-text.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { refuseNamed, refuseOtherModels } from './other-models.ts';
import type { Work } from './pace.ts';
import type { RuleNode } from './text-rules.ts';

const names = (text: string): ReadonlySet<string> => new Set(text.split(' ').flatMap((name) => [name, snake(name)]));

const bodyNames = names(
  'model contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent labels serviceTier store',
);
const countNames: ReadonlySet<string> = new Set([...bodyNames, ...names('generateContentRequest')]);
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
const thinkingNames = names('thinkingBudget includeThoughts thinkingLevel');
const toolNames = names(
  'functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext computerUse fileSearch googleMaps ' +
    'retrieval enterpriseWebSearch mcpServers',
);
const functionNames = names('name description parameters parametersJsonSchema response responseJsonSchema behavior');
/** Vertex AI: a model chosen by the request, or by a router. */
const routers = names('routingConfig modelSelectionConfig modelConfig');
const mostCandidates = 128;

/** Reads the facts. The first thing that is wrong is what the caller hears about. */
export function* contentFacts(body: JsonValue, bytes: number, endpoint: Endpoint): Work<Reading<RequestFacts>> {
  const draft = new FactsDraft();
  const counts = endpoint.operation === 'count_tokens';
  const outer = named(draft, body, counts ? countNames : bodyNames, '');
  const inner = counts ? member(outer, 'generateContentRequest') : undefined;
  if (inner !== undefined && member(outer, 'contents') !== undefined)
    draft.check.complain("Invalid request: 'contents' and 'generateContentRequest' at once.");
  const at = inner === undefined ? '' : 'generateContentRequest';
  const request = inner === undefined ? outer : named(draft, inner, bodyNames, at);
  refuseOtherModels(draft.check, request);
  const rules = inner === undefined ? requestText : requestText.members.get('generateContentRequest')!;
  yield* readMessages(draft, request, at, rules);
  yield* readTools(draft, request, at);
  checkModel(draft, request, endpoint.model ?? '', at);
  const config = readConfig(draft, request, at);
  return yield* draft.finish(
    {
      format: 'gemini',
      operation: endpoint.operation,
      model: endpoint.model ?? '',
      stream: endpoint.stream ?? false,
      ...config,
    },
    request,
    rules,
    'contents',
    bytes,
  );
}

/** An object with names that are known or surely unknown, none in both spellings: two parsers could read that differently. */
function named(draft: FactsDraft, value: JsonValue | undefined, known: ReadonlySet<string>, at: string): JsonObject {
  const { check } = draft;
  const object = check.object(value, at === '' ? 'the body' : at);
  check.names(object, known, at);
  if (check.problem !== undefined) return object;
  for (const name of Object.keys(object)) {
    if (!name.includes('_') || object[camel(name)] === undefined || camel(name) === name) continue;
    check.complain(`Invalid request: '${camel(name)}' and '${name.slice(0, 64)}' at once${at && ` in '${at}'`}.`);
  }
  return object;
}

/** The value of a member in either spelling; undefined for null. */
function member(object: JsonObject, name: string): JsonValue | undefined {
  return object[name] ?? object[snake(name)] ?? undefined;
}

const camel = (name: string): string =>
  name.length > 64 ? name : name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());

/** Items of a list; Google's servers take one object for a list of one. */
function listOf(draft: FactsDraft, value: JsonValue | undefined, at: string): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  return [draft.check.object(value, at)];
}

const join = (at: string, name: string): string => (at === '' ? name : `${at}.${name}`);

function* readMessages(draft: FactsDraft, request: JsonObject, at: string, rules: RuleNode): Work<void> {
  const { check } = draft;
  const contents = listOf(draft, member(request, 'contents'), join(at, 'contents'));
  if (contents.length === 0) check.complain(`Missing required parameter: '${join(at, 'contents')}'.`);
  for (const [i, item] of contents.entries()) {
    if (check.problem !== undefined) return;
    const place = join(at, `contents[${i}]`);
    const content = named(draft, item, contentNames, place);
    const role = checkRole(check, check.optionalText(content, 'role', place) ?? 'user', place);
    yield* readParts(draft, content, place);
    yield* draft.addMessage(role, content, rules.members.get('contents')!.items);
    yield* draft.pause();
  }
  const instruction = member(request, 'systemInstruction');
  if (instruction === undefined) return;
  const place = join(at, 'systemInstruction');
  const content = named(draft, instruction, contentNames, place);
  yield* readParts(draft, content, place);
  yield* draft.setSystem(content, rules.members.get('systemInstruction')!);
}

function* readParts(draft: FactsDraft, content: JsonObject, at: string): Work<void> {
  for (const [i, item] of listOf(draft, content['parts'], `${at}.parts`).entries()) {
    const place = `${at}.parts[${i}]`;
    const part = named(draft, item, partNames, place);
    draft.check.optionalText(part, 'text', place);
    for (const name of ['inlineData', 'fileData']) yield* readMedia(draft, member(part, name), `${place}.${name}`);
    for (const name of ['functionCall', 'functionResponse'])
      yield* readCall(draft, member(part, name), `${place}.${name}`);
    yield* draft.pause();
  }
}

function* readMedia(draft: FactsDraft, value: JsonValue | undefined, at: string): Work<void> {
  if (value === undefined) return;
  const blob = named(draft, value, blobNames, at);
  const type = member(blob, 'mimeType') ?? '';
  if (typeof type !== 'string') {
    draft.check.complain(`Invalid type for '${at}.mimeType': expected a string.`);
    return;
  }
  draft.countMedia(type);
  if (member(blob, 'fileUri') !== undefined || member(blob, 'data') === undefined) draft.unread = true;
  const data = draft.check.optionalText(blob, 'data', at);
  if (data !== undefined && isTextType(type)) yield* refuseUndecodable(draft.check, data, `${at}.data`);
}

function* readCall(draft: FactsDraft, value: JsonValue | undefined, at: string): Work<void> {
  if (value === undefined) return;
  const call = named(draft, value, callNames, at);
  draft.check.optionalText(call, 'name', at);
  // Results of a function may be media.
  yield* readParts(draft, call, at);
}

/** Functions by their name, hosted tools by the field that asks for them. */
function* readTools(draft: FactsDraft, request: JsonObject, at: string): Work<void> {
  const { check } = draft;
  for (const [i, item] of listOf(draft, member(request, 'tools'), join(at, 'tools')).entries()) {
    const place = join(at, `tools[${i}]`);
    const tool = named(draft, item, toolNames, place);
    const declared = member(tool, 'functionDeclarations');
    for (const [j, value] of listOf(draft, declared, `${place}.functionDeclarations`).entries()) {
      const where = `${place}.functionDeclarations[${j}]`;
      const declaration = named(draft, value, functionNames, where);
      draft.tools.push({ name: check.requiredText(declaration, 'name', where) });
      yield* draft.pause();
    }
    for (const name of Object.keys(tool).map(camel)) {
      if (name !== 'functionDeclarations') draft.tools.push({ name });
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
  // A prompt that Google keeps: nobody here can read it, but a rule can tell that it is there.
  draft.takeParameters({ cachedContent: member(request, 'cachedContent') ?? null });
  const value = member(request, 'generationConfig');
  if (value === undefined) return {};
  const config = named(draft, value, configNames, join(at, 'generationConfig'));
  const integer = (name: string, most?: number): number | undefined =>
    check.optionalInteger({ [name]: member(config, name) ?? null }, name, 1, most);
  refuseNamed(check, config, routers, join(at, 'generationConfig'));
  draft.takeParameters(config);
  const thinking = member(config, 'thinkingConfig');
  if (thinking !== undefined) {
    const place = join(at, 'generationConfig.thinkingConfig');
    draft.takeParameters(named(draft, thinking, thinkingNames, place), undefined, 'thinkingConfig.');
  }
  return { choices: integer('candidateCount', mostCandidates), maxTokens: integer('maxOutputTokens') };
}
