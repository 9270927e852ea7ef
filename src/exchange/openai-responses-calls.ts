/**
 * Tool calls of OpenAI Responses: items whose type ends in `_call`, and `mcp_approval_request`. Clients may read a call from
 * its pieces, from the event that ends these, from the item that ends, or from the response that ends: what differs is a call
 * of its own. A hosted tool without a name is called by its type.
 */
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { objectAt, objectsOf, type ReadsToolCalls, type ToolCalls, textAt } from './tool-calls.ts';

/** `response.function_call_arguments.delta`, `response.custom_tool_call_input.delta`, `response.mcp_call_arguments.done`, … */
const part = /^response\.[a-z_]+_call_(?:arguments|input)\.(delta|done)$/;
const callItem = /(?:_call|^mcp_approval_request)$/;
/** Of an item, what is not said by the caller of the tool. */
const aside = new Set(['id', 'type', 'status', 'call_id', 'name', 'namespace', 'server_label', 'output', 'error']);

export const responseCalls: ReadsToolCalls = {
  repeats: true,
  event(event, calls) {
    const type = textAt(event, 'type');
    const key = keyOf(event['output_index'] ?? event['item_id']);
    const [, ends] = part.exec(type) ?? [];
    if (ends === 'delta') {
      calls.piece(key, '', textAt(event, 'delta'));
      return true;
    }
    if (ends === 'done') {
      const name = textAt(event, 'name') || calls.nameOf(key);
      calls.whole(name, textAt(event, 'arguments') || textAt(event, 'input'), undefined, key);
      return true;
    }
    const item = objectAt(event, 'item');
    if (item !== undefined && callItem.test(textAt(item, 'type'))) {
      if (type === 'response.output_item.done') {
        calls.settle(key);
        whole(calls, item, key);
      } else calls.piece(key, nameOf(item), '');
      return true;
    }
    const response = objectAt(event, 'response');
    if (response === undefined || !('output' in response)) return false;
    return items(calls, response['output']);
  },
  body(body, calls) {
    if (isJsonObject(body)) items(calls, body['output']);
  },
};

function items(calls: ToolCalls, output: JsonValue | undefined): boolean {
  let any = false;
  for (const [index, item] of objectsOf(output).entries()) {
    if (!callItem.test(textAt(item, 'type'))) continue;
    any = true;
    calls.settle(keyOf(index));
    whole(calls, item, keyOf(index));
  }
  return any;
}

function whole(calls: ToolCalls, item: JsonObject, key: string): void {
  const { arguments: given, input } = item;
  if (typeof given === 'string') calls.whole(nameOf(item), given, undefined, key);
  else if (typeof input === 'string') calls.whole(nameOf(item), input, undefined, key);
  else {
    const rest = Object.fromEntries(Object.entries(item).filter(([name]) => !aside.has(name)));
    calls.whole(nameOf(item), '', given ?? rest, key);
  }
}

const nameOf = (item: JsonObject): string => textAt(item, 'name') || textAt(item, 'type');

const keyOf = (index: JsonValue | undefined): string => `${String(index ?? 0)}/`;
