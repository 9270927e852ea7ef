/** Tool calls of the APIs that send each whole: Gemini's `functionCall`, Ollama's `tool_calls`, Bedrock's `toolUse`. */
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { objectAt, objectsOf, placeOf, type ReadsToolCalls, type ToolCalls, textAt } from './tool-calls.ts';

/** A stream without `alt=sse` is an array of what each event is else. */
export const geminiCalls: ReadsToolCalls = {
  event(event, calls) {
    let any = false;
    for (const [place, candidate] of objectsOf(event['candidates']).entries())
      for (const part of objectsOf(objectAt(candidate, 'content')?.['parts']))
        if (geminiPart(part, placeOf(candidate, place), calls)) any = true;
    return any;
  },
  body: eachOf((event, calls) => geminiCalls.event(event, calls)),
};

function geminiPart(part: JsonObject, key: string, calls: ToolCalls): boolean {
  const code = objectAt(part, 'executableCode');
  if (code !== undefined) calls.whole('executableCode', '', code);
  const call = objectAt(part, 'functionCall');
  if (call === undefined) return code !== undefined;
  const { partialArgs, willContinue, args } = call;
  const goesOn = calls.has(key);
  if (!goesOn && partialArgs === undefined && willContinue !== true) {
    calls.whole(textAt(call, 'name'), '', args ?? {});
    return true;
  }
  // Arguments that come by their paths: rules see the list of what came, as text.
  const text = partialArgs === undefined ? '' : JSON.stringify(partialArgs);
  calls.piece(key, textAt(call, 'name'), text, args ?? (goesOn ? undefined : {}));
  if (willContinue !== true) calls.end(key);
  return true;
}

export const ollamaCalls: ReadsToolCalls = {
  event(event, calls) {
    let any = false;
    for (const call of [...objectsOf(objectAt(event, 'message')?.['tool_calls']), ...objectsOf(event['tool_calls'])]) {
      const made = objectAt(call, 'function') ?? call;
      calls.whole(textAt(made, 'name'), '', made['arguments'] ?? {});
      any = true;
    }
    return any;
  },
  body: eachOf((event, calls) => ollamaCalls.event(event, calls)),
};

export const bedrockCalls: ReadsToolCalls = {
  event(event, calls) {
    let any = false;
    const message = objectAt(objectAt(event, 'output') ?? {}, 'message');
    for (const block of objectsOf(message?.['content'])) {
      const use = objectAt(block, 'toolUse');
      if (use === undefined) continue;
      calls.whole(textAt(use, 'name'), '', use['input'] ?? {});
      any = true;
    }
    return any;
  },
  body: eachOf((event, calls) => bedrockCalls.event(event, calls)),
};

function eachOf(read: (event: JsonObject, calls: ToolCalls) => unknown) {
  return (body: JsonValue, calls: ToolCalls): void => {
    for (const event of Array.isArray(body) ? body : [body]) if (isJsonObject(event)) read(event, calls);
  };
}
