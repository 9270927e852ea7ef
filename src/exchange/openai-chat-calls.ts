/**
 * Tool calls of OpenAI chat completions: `tool_calls` by index, in pieces, of each choice; `custom` ones; the older
 * `function_call`. A choice's calls are complete with its `finish_reason`: pieces of several may alternate until then.
 */
import type { JsonObject } from './json.ts';
import { objectAt, objectsOf, placeOf, type ReadsToolCalls, type ToolCalls, textAt } from './tool-calls.ts';

export const chatCalls: ReadsToolCalls = {
  event: (event, calls) => {
    let any = false;
    for (const [place, choice] of objectsOf(event['choices']).entries()) {
      const key = `${placeOf(choice, place)}/`;
      for (const name of ['delta', 'message']) {
        const message = objectAt(choice, name);
        if (message !== undefined && readMessage(message, key, calls)) any = true;
      }
      const { finish_reason: reason } = choice;
      if (reason === undefined || reason === null || reason === '') continue;
      any = true;
      calls.endAll(key);
    }
    return any;
  },
  body(body, calls) {
    for (const answer of objectsOf(body)) chatCalls.event(answer, calls);
  },
};

function readMessage(message: JsonObject, key: string, calls: ToolCalls): boolean {
  let any = false;
  for (const [place, call] of objectsOf(message['tool_calls']).entries()) {
    any = true;
    const at = `${key}${placeOf(call, place)}/`;
    // Servers that send each call whole give it another id, and no index.
    calls.begin(at, textAt(call, 'id'));
    piece(calls, at, call);
  }
  const old = objectAt(message, 'function_call');
  if (old === undefined) return any;
  calls.piece(`${key}f`, textAt(old, 'name'), textAt(old, 'arguments'));
  return true;
}

function piece(calls: ToolCalls, key: string, call: JsonObject): void {
  const made = objectAt(call, 'function');
  const custom = objectAt(call, 'custom');
  if (made !== undefined) {
    const { arguments: given } = made;
    // Some servers send the object itself.
    if (typeof given === 'object' && given !== null) calls.piece(key, textAt(made, 'name'), '', given);
    else calls.piece(key, textAt(made, 'name'), textAt(made, 'arguments'));
  }
  if (custom !== undefined) calls.piece(key, textAt(custom, 'name'), textAt(custom, 'input'));
  if (made === undefined && custom === undefined) calls.piece(key, textAt(call, 'name'), '');
}
