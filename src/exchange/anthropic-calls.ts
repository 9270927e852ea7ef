/** Tool calls of Anthropic Messages: content blocks whose type ends in `tool_use`; their input comes in pieces of JSON. */
import { isJsonObject, type JsonObject } from './json.ts';
import { objectAt, objectsOf, placeOf, type ReadsToolCalls, type ToolCalls, textAt } from './tool-calls.ts';

export const messagesCalls: ReadsToolCalls = {
  event(event, calls) {
    const key = placeOf(event, 0);
    switch (textAt(event, 'type')) {
      case 'content_block_start': {
        const block = objectAt(event, 'content_block');
        if (block === undefined || !isCall(block)) return false;
        calls.piece(key, textAt(block, 'name'), '', block['input'] ?? {});
        return true;
      }
      case 'content_block_delta': {
        const delta = objectAt(event, 'delta');
        if (delta === undefined || !('partial_json' in delta)) return false;
        calls.piece(key, '', textAt(delta, 'partial_json'));
        return true;
      }
      case 'content_block_stop':
        calls.end(key);
        return true;
      case 'message_start':
        return blocks(objectAt(event, 'message'), calls);
      default:
        return false;
    }
  },
  body(body, calls) {
    if (isJsonObject(body)) blocks(body, calls);
  },
};

function blocks(message: JsonObject | undefined, calls: ToolCalls): boolean {
  let any = false;
  for (const block of objectsOf(message?.['content']))
    if (isCall(block)) {
      calls.whole(textAt(block, 'name'), '', block['input'] ?? {});
      any = true;
    }
  return any;
}

const isCall = (block: JsonObject): boolean => textAt(block, 'type').endsWith('tool_use');
