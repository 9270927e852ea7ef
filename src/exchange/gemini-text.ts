/**
 * Which strings of a Gemini request and response are text. Source: the Gemini API reference, `models.generateContent`,
 * and `google.ai.generativelanguage.v1beta`. Google's servers take the names of a request in camelCase and in snake_case, and
 * one object where a list is meant.
 */
import { type Markers, type Treatment, textRules } from './text-rules.ts';

type Table = Record<string, Treatment | Markers>;

export const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** All spellings of a path. */
function spellings(path: string): string[] {
  let all = [''];
  for (const step of path.split('.')) {
    const bare = step.replace('[]', '');
    const names = [...new Set([bare, snake(bare)])].flatMap((name) =>
      step.endsWith('[]') ? [`${name}[]`, name] : [name],
    );
    all = all.flatMap((before) => names.map((name) => (before === '' ? name : `${before}.${name}`)));
  }
  return all;
}

function table(at: string, treatment: Treatment, names: readonly string[]): Table {
  return Object.fromEntries(
    names.flatMap((name) => spellings(`${at}${name}`).map((path) => [path, treatment] as const)),
  );
}

const parts = (at: string): Table => ({
  ...table(`${at}.parts[].`, 'whole', [
    ...['text', 'functionCall.name', 'functionCall.args', 'functionResponse.name', 'functionResponse.response'],
    ...['executableCode.code', 'codeExecutionResult.output', 'fileData.fileUri', 'fileData.displayName'],
    ...['inlineData.displayName', 'partMetadata'],
  ]),
  ...table(`${at}.parts[].`, 'structural', [
    ...['thought', 'inlineData.mimeType', 'fileData.mimeType', 'functionCall.id', 'functionResponse.id'],
    ...['executableCode.language', 'codeExecutionResult.outcome', 'videoMetadata.startOffset'],
    ...['videoMetadata.endOffset', 'videoMetadata.fps', 'functionResponse.parts[].inlineData.mimeType'],
  ]),
  ...table(`${at}.parts[].`, 'binary', [...['inlineData.data', 'functionResponse.parts[].inlineData.data']]),
  ...table(`${at}.parts[].`, 'sealed', ['thoughtSignature']),
  ...table(`${at}.`, 'structural', ['role']),
});

const generation = [
  ...['maxOutputTokens', 'candidateCount', 'temperature', 'topP', 'topK', 'seed', 'responseMimeType', 'logprobs'],
  ...['responseLogprobs', 'presencePenalty', 'frequencyPenalty', 'mediaResolution', 'responseModalities[]'],
  ...['thinkingConfig.thinkingBudget', 'thinkingConfig.includeThoughts', 'thinkingConfig.thinkingLevel'],
];

const request: Table = {
  ...parts('contents[]'),
  ...parts('systemInstruction'),
  ...table('', 'structural', [
    ...['model', 'cachedContent', 'safetySettings[].category', 'safetySettings[].threshold'],
    ...generation.map((name) => `generationConfig.${name}`),
    ...['toolConfig.functionCallingConfig.mode', 'tools[].functionDeclarations[].behavior'],
  ]),
  ...table('', 'whole', [
    ...['generationConfig.stopSequences[]', 'generationConfig.responseSchema', 'generationConfig.responseJsonSchema'],
    ...['tools[].functionDeclarations[].name', 'tools[].functionDeclarations[].description'],
    ...['tools[].functionDeclarations[].parameters', 'tools[].functionDeclarations[].parametersJsonSchema'],
    ...['tools[].functionDeclarations[].response', 'toolConfig.functionCallingConfig.allowedFunctionNames[]'],
    ...['tools[].googleSearch', 'tools[].codeExecution', 'tools[].urlContext', 'labels'],
  ]),
};

/** `countTokens` may have the whole request in a field of its own. */
export const requestText = textRules({
  ...request,
  ...Object.fromEntries(
    Object.entries(request).flatMap(([path, treatment]) =>
      spellings('generateContentRequest').map((name) => [`${name}.${path}`, treatment] as const),
    ),
  ),
});

const response: Table = {
  'candidates[#].index': 'structural',
  'candidates[#].finishReason': 'end',
  'candidates[#].finishMessage': 'whole',
  'candidates[#].tokenCount': 'counts',
  'candidates[#].avgLogprobs': 'drop',
  'candidates[#].logprobsResult': 'drop',
  'candidates[#].safetyRatings[].category': 'structural',
  'candidates[#].safetyRatings[].probability': 'structural',
  'candidates[#].citationMetadata.**': 'whole',
  'candidates[#].groundingMetadata.**': 'whole',
  'candidates[#].urlContextMetadata.**': 'whole',
  'candidates[#].content.role': 'structural',
  // SDKs put the texts of all parts of all events together, thoughts apart from the answer.
  'candidates[#].content.parts[+].text': 'channel',
  'candidates[#].content.parts[+].thought': { true: 'aside' },
  'candidates[#].content.parts[+].thoughtSignature': 'binary',
  'candidates[#].content.parts[+].functionCall.id': 'structural',
  'candidates[#].content.parts[+].functionCall.name': 'whole',
  'candidates[#].content.parts[+].functionCall.args.**': 'whole',
  'candidates[#].content.parts[+].functionCall.partialArgs[].**': 'whole',
  'candidates[#].content.parts[+].inlineData.mimeType': 'structural',
  'candidates[#].content.parts[+].inlineData.data': 'binary',
  'candidates[#].content.parts[+].fileData.**': 'whole',
  'candidates[#].content.parts[+].executableCode.language': 'structural',
  'candidates[#].content.parts[+].executableCode.code': 'whole',
  'candidates[#].content.parts[+].codeExecutionResult.outcome': 'structural',
  'candidates[#].content.parts[+].codeExecutionResult.output': 'whole',
  'usageMetadata.**': 'counts',
  'usageMetadata.promptTokenCount': 'input-tokens',
  'usageMetadata.toolUsePromptTokenCount': 'input-tokens',
  'usageMetadata.candidatesTokenCount': 'output-tokens',
  'usageMetadata.thoughtsTokenCount': 'output-tokens',
  'promptFeedback.blockReason': 'structural',
  'promptFeedback.**': 'whole',
  modelVersion: 'structural',
  responseId: 'structural',
  createTime: 'time',
  // The answer of countTokens.
  totalTokens: 'counts',
  cachedContentTokenCount: 'counts',
  'promptTokensDetails[].**': 'counts',
  'error.**': 'error',
};

/** One event of a stream. */
export const eventText = textRules(response);
/** A JSON body: one answer, or (a stream without `alt=sse`) all events as the items of an array. */
export const responseText = textRules({
  ...response,
  ...Object.fromEntries(Object.entries(response).map(([path, treatment]) => [`[+].${path}`, treatment] as const)),
});
