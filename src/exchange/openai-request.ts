/** What the requests of OpenAI's family have in common: parameters, texts that cannot be read, prompts in a list. */
import { type Check, kindOf } from './check.ts';
import type { ParameterValue, Reading, RequestFacts } from './facts.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type { Work } from './pace.ts';
import type { RuleNode } from './text-rules.ts';
import type { Words } from './words.ts';

/** Messages, parts, tools or parameters looked at in one slice. */
export const sliceItems = 500;
/** Characters of a text that is worth a slice of its own for each step. */
export const longText = 64 * 1024;
/** Parameters of one request: more than any server has. */
const mostParameters = 512;

/**
 * Most tokens that an answer may have: of several names the larger. llama.cpp reads its own `n_predict` before the others,
 * on all of these paths; 0 and below are no maximum there.
 */
export function mostTokens(check: Check, body: JsonObject, ...names: readonly string[]): number | undefined {
  const own = check.optionalInteger(body, 'n_predict', -2);
  const limits = [own, ...names.map((name) => check.optionalInteger(body, name, 0))].filter((one) => one !== undefined);
  return limits.length === 0 || (own !== undefined && own <= 0) ? undefined : Math.max(...limits);
}

export function refusal(message: string): Reading<never> & { ok: false } {
  return { ok: false, code: 'invalid_request', message };
}

export function notAnObject(body: JsonValue): Reading<never> {
  return refusal(`Invalid type for the body: expected an object, but got ${kindOf(body)} instead.`);
}

/** The names that a table knows of the object at a place, such as `messages` and then `[]`. */
export function namesAt(root: RuleNode, ...path: readonly string[]): ReadonlySet<string> {
  let node = root;
  for (const step of path) node = step === '[]' ? node.items : (node.members.get(step) ?? node.otherMembers);
  return new Set(node.members.keys());
}

/**
 * Text that a model reads and we cannot: token ids, embeddings of a prompt (vLLM, SGLang). Where it stands in place of the
 * messages, or beside them, the facts would not be those of what the model answers.
 */
const unreadable = [
  'input_ids',
  'input_embeds',
  'prompt_ids',
  'prompt_token_ids',
  'prompt_embeds',
  'encoder_prompt_token_ids',
];

export function refuseUnreadable(check: Check, body: JsonObject): void {
  for (const name of unreadable)
    if (body[name] !== undefined && body[name] !== null)
      check.complain(`Unsupported parameter: '${name}'. ${sendText}`);
}

const sendText = 'What it says cannot be examined: send the prompt as text.';

/**
 * The scalar members of the body by their names, and those of the objects in it that `nested` names as `a.b`. `except`:
 * the members that are facts of their own.
 */
export function* scalarParameters(
  check: Check,
  body: JsonObject,
  except: ReadonlySet<string>,
  nested: readonly string[],
): Work<ReadonlyMap<string, ParameterValue>> {
  const found = new Map<string, ParameterValue>();
  yield* addScalars(check, body, '', found, except);
  for (const name of nested) {
    const inner = body[name];
    if (isJsonObject(inner)) yield* addScalars(check, inner, `${name}.`, found, none);
  }
  return found;
}

const none: ReadonlySet<string> = new Set();

/** Adds the scalar members of an object, their names after `prefix`. */
export function* addScalars(
  check: Check,
  object: JsonObject,
  prefix: string,
  found: Map<string, ParameterValue>,
  except: ReadonlySet<string>,
): Work<void> {
  let looked = 0;
  for (const name of Object.keys(object)) {
    if (++looked % sliceItems === 0) yield;
    const value = object[name]!;
    if (value === null || typeof value === 'object' || except.has(name)) continue;
    if (found.size === mostParameters)
      return check.complain(`Too many parameters: at most ${mostParameters} are read.`);
    found.set(prefix + name, value);
  }
}

/** A text, or a list of texts (`prompt`, `input`); token ids are refused. */
export function* textOrTexts(check: Check, body: JsonObject, name: string): Work<readonly string[]> {
  const value = body[name];
  if (typeof value === 'string') return [value];
  if (value === undefined || value === null) check.complain(`Missing required parameter: '${name}'.`);
  else if (!Array.isArray(value))
    check.complain(
      `Invalid type for '${name}': expected one of a string or array of strings, but got ${kindOf(value)} instead.`,
    );
  else if (value.length === 0)
    check.complain(
      `Invalid '${name}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
    );
  else {
    for (const [i, item] of value.entries()) {
      if (i % sliceItems === sliceItems - 1) yield;
      if (typeof item === 'string') continue;
      const isToken = typeof item === 'number' || typeof item === 'bigint' || Array.isArray(item);
      check.complain(
        `Invalid type for '${name}[${i}]': expected a string, but got ${kindOf(item)} instead.${isToken ? ` These are token ids. ${sendText}` : ''}`,
      );
      return [];
    }
    return value as string[];
  }
  return [];
}

/** Texts as messages of the user; their words go into `words`. */
export function* asMessages(texts: readonly string[], words: Words): Work<RequestFacts['messages']> {
  const messages: { role: string; text: string }[] = [];
  for (const [i, text] of texts.entries()) {
    messages.push({ role: 'user', text });
    words.add(text);
    if (i % sliceItems === sliceItems - 1) yield;
  }
  return messages;
}
