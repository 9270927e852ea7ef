/** Which strings of an MCP message are text; requests, results and the events of a stream are the same. */
import { type Treatment, textRules } from './text-rules.ts';

/** Messages are complete by themselves: nothing of one is held for the next. */
const message: Record<string, Treatment> = {
  jsonrpc: 'structural',
  id: 'structural',
  method: 'structural',
  ...Object.fromEntries(
    ['params', 'result', 'error', 'error.data'].flatMap((at) => [
      [at, 'whole'] as const,
      [`${at}.**`, 'whole'] as const,
    ]),
  ),
  'result.content': 'whole',
  'result.contents': 'whole',
  'error.code': 'counts',
  'error.message': 'whole',
  'params.name': 'structural',
  'params.progress': 'counts',
  'params.total': 'counts',
  'params.protocolVersion': 'structural',
  'result.protocolVersion': 'structural',
  // What a client's model said, for a server that had asked it (sampling): one, not a list.
  'result.content.type': 'structural',
  'result.content.text': 'whole',
  'result.content.mimeType': 'structural',
  'result.content.data': 'binary',
  'result.content[].type': 'structural',
  'result.content[].text': 'whole',
  'result.content[].mimeType': 'structural',
  'result.content[].data': 'binary',
  'result.content.resource.**': 'whole',
  'result.content.resource.blob': 'binary',
  'result.content[].resource.**': 'whole',
  'result.content[].resource.text': 'whole',
  'result.content[].resource.blob': 'binary',
  'result.contents[].text': 'whole',
  'result.contents[].mimeType': 'structural',
  'result.contents[].blob': 'binary',
};
/** What the table does not name on a path that it names is as complete. */
const rest: Record<string, Treatment> = Object.fromEntries(
  ['result.content[]', 'result.contents[]'].map((at) => [`${at}.**`, 'whole'] as const),
);
export const messageText = textRules({ ...message, ...rest, '**': 'whole' });
