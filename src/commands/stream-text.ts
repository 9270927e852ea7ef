/** What a stream of an OpenAI chat answer says, put together from its events, for a human who reads the record. */

interface ToolCall {
  name: string;
  arguments: string;
}

interface Choice {
  /** `content`, and whatever else comes as text in pieces (`refusal`, `reasoning_content`), by its key. */
  readonly texts: Map<string, string>;
  readonly tools: Map<number, ToolCall>;
  finish: string;
}

/** This is no stream of chat chunks, or not one that we can put together without leaving something out. */
class Odd extends Error {}

/**
 * Assembles the text of each choice and its tool calls. Undefined for anything that is not wholly understood (another
 * format, an event that is no chunk): then only the wire form shows all of it.
 */
export function streamText(wire: string): string | undefined {
  const choices = new Map<number, Choice>();
  try {
    const isCut = readEvents(wire, (chunk) => addChunk(choices, chunk));
    if (choices.size === 0) return undefined;
    const inOrder = [...choices].toSorted(([a], [b]) => a - b);
    const parts = inOrder.map(([index, choice]) => choiceText(choice, choices.size > 1 ? index : undefined));
    return [...parts, ...(isCut ? ['(it breaks off here)'] : [])].join('\n');
  } catch (error) {
    if (error instanceof Odd || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Reads the events of a stream (WHATWG HTML, server-sent events); whether it breaks off before `[DONE]`. */
function readEvents(wire: string, onData: (chunk: unknown) => void): boolean {
  const events = wire.split(/\r\n\r\n|\n\n|\r\r/);
  const rest = events.pop() ?? '';
  let isDone = false;
  for (const event of events) {
    const data: string[] = [];
    for (const line of event.split(/\r\n|\n|\r/)) {
      if (line === '' || line.startsWith(':')) continue;
      if (!line.startsWith('data:')) throw new Odd();
      data.push(line.slice('data:'.length).replace(/^ /, ''));
    }
    if (data.length === 0) continue;
    if (isDone) throw new Odd();
    isDone = data.join('\n') === '[DONE]';
    if (!isDone) onData(JSON.parse(data.join('\n')));
  }
  // Half an event: of a stream that was cut off, which says so.
  if (rest.trim() !== '' && isDone) throw new Odd();
  return !isDone;
}

function addChunk(choices: Map<number, Choice>, chunk: unknown): void {
  const { choices: parts, error } = object(chunk);
  if (error !== undefined && error !== null) throw new Odd();
  if (!Array.isArray(parts)) throw new Odd();
  for (const part of parts) {
    const { index, delta, finish_reason: finish } = object(part);
    if (typeof index !== 'number') throw new Odd();
    const choice: Choice = choices.get(index) ?? { texts: new Map(), tools: new Map(), finish: '' };
    choices.set(index, choice);
    if (typeof finish === 'string') choice.finish = finish;
    for (const [key, value] of Object.entries(object(delta))) addDelta(choice, key, value);
  }
}

function addDelta(choice: Choice, key: string, value: unknown): void {
  if (value === null || key === 'role') return;
  if (key !== 'tool_calls') choice.texts.set(key, (choice.texts.get(key) ?? '') + string(value));
  else if (Array.isArray(value)) for (const call of value) addToolCall(choice.tools, call);
  else throw new Odd();
}

function addToolCall(tools: Map<number, ToolCall>, value: unknown): void {
  const { index, function: called } = object(value);
  if (typeof index !== 'number') throw new Odd();
  const call = tools.get(index) ?? { name: '', arguments: '' };
  tools.set(index, call);
  const { name, arguments: more } = object(called ?? {});
  call.name += string(name ?? '');
  call.arguments += string(more ?? '');
}

function choiceText({ texts, tools, finish }: Choice, index: number | undefined): string {
  const lines = index === undefined ? [] : [`[choice ${index}]`];
  for (const [key, text] of texts) if (text !== '') lines.push(key === 'content' ? text : `[${key}] ${text}`);
  for (const [, call] of [...tools].toSorted(([a], [b]) => a - b))
    lines.push(`[tool call] ${call.name}(${call.arguments})`);
  if (finish !== '' && finish !== 'stop' && finish !== 'tool_calls') lines.push(`[ended: ${finish}]`);
  return lines.join('\n');
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Odd();
  return value as Readonly<Record<string, unknown>>;
}

function string(value: unknown): string {
  if (typeof value !== 'string') throw new Odd();
  return value;
}
