/** Which strings of a Bedrock Converse request and response are text. Source: the Amazon Bedrock API reference, "Converse". */
import { type Markers, type Treatment, textRules } from './text-rules.ts';

type Table = Record<string, Treatment | Markers>;

const of = (at: string, treatment: Treatment, names: readonly string[]): Table =>
  Object.fromEntries(names.map((name) => [`${at}${name}`, treatment] as const));

const media = ['image', 'video', 'audio', 'document'];

/** A content block of a message; those of tool results are of the same kinds. */
const block = (at: string): Table => ({
  ...of(`${at}.`, 'structural', [
    ...media.map((kind) => `${kind}.format`),
    ...['toolUse.toolUseId', 'toolUse.type', 'toolResult.toolUseId', 'toolResult.status', 'toolResult.type'],
    ...['cachePoint.type', 'cachePoint.ttl', 'document.citations.enabled', 'searchResult.citations.enabled'],
    ...['guardContent.text.qualifiers[]', 'guardContent.image.format'],
  ]),
  ...of(`${at}.`, 'whole', [
    ...media.map((kind) => `${kind}.source.s3Location.uri`),
    ...['text', 'json', 'document.name', 'document.context', 'document.source.text', 'document.source.content[].text'],
    ...['toolUse.name', 'toolUse.input', 'guardContent.text.text', 'reasoningContent.reasoningText.text'],
    ...['searchResult.source', 'searchResult.title', 'searchResult.content[].text', 'citationsContent.content[].text'],
  ]),
  ...of(`${at}.`, 'binary', [...media.map((kind) => `${kind}.source.bytes`), 'guardContent.image.source.bytes']),
  ...of(`${at}.`, 'sealed', ['reasoningContent.reasoningText.signature', 'reasoningContent.redactedContent']),
});

export const requestText = textRules({
  ...of('', 'structural', [
    ...['messages[].role', 'inferenceConfig.maxTokens', 'inferenceConfig.temperature', 'inferenceConfig.topP'],
    ...['toolConfig.tools[].cachePoint.type', 'guardrailConfig.guardrailIdentifier', 'guardrailConfig.trace'],
    ...['guardrailConfig.guardrailVersion', 'performanceConfig.latency', 'serviceTier.type'],
    ...['toolConfig.tools[].toolSpec.strict'],
  ]),
  ...of('', 'whole', [
    ...['inferenceConfig.stopSequences[]', 'toolConfig.tools[].toolSpec.name', 'toolConfig.tools[].systemTool.name'],
    ...['toolConfig.tools[].toolSpec.description', 'toolConfig.tools[].toolSpec.inputSchema.json'],
    ...['toolConfig.toolChoice.tool.name', 'toolConfig.toolChoice.auto', 'toolConfig.toolChoice.any'],
    ...['additionalModelRequestFields', 'additionalModelResponseFieldPaths[]', 'promptVariables', 'requestMetadata'],
    ...['outputConfig'],
  ]),
  ...block('system[]'),
  ...block('messages[].content[]'),
  ...block('messages[].content[].toolResult.content[]'),
});

/** Clients put the texts of the blocks together. */
export const responseText = textRules({
  'output.message.role': 'structural',
  'output.message.content[+].text': 'channel',
  'output.message.content[+].reasoningContent.reasoningText.text': 'channel',
  'output.message.content[+].reasoningContent.reasoningText.signature': 'binary',
  'output.message.content[+].reasoningContent.redactedContent': 'binary',
  'output.message.content[+].toolUse.toolUseId': 'structural',
  'output.message.content[+].toolUse.name': 'whole',
  'output.message.content[+].toolUse.input.**': 'whole',
  'output.message.content[+].image.format': 'structural',
  'output.message.content[+].image.source.bytes': 'binary',
  'output.message.content[+].citationsContent.content[+].text': 'channel',
  'output.message.content[+].citationsContent.citations[].**': 'whole',
  stopReason: 'structural',
  'usage.**': 'counts',
  'usage.inputTokens': 'input-tokens',
  'usage.cacheReadInputTokens': 'input-tokens',
  'usage.cacheWriteInputTokens': 'input-tokens',
  'usage.outputTokens': 'output-tokens',
  'metrics.latencyMs': 'counts',
  'performanceConfig.latency': 'structural',
  'serviceTier.type': 'structural',
  'additionalModelResponseFields.**': 'whole',
  'trace.**': 'whole',
  message: 'error',
  __type: 'structural',
});
