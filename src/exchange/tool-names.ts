/** What a tool on offer may be called: servers differ in which of its names they read. */
import type { Check } from './check.ts';
import type { JsonObject } from './json.ts';

/** Objects in which OpenAI's APIs describe a tool. */
const described = ['function', 'custom'];

/**
 * Every name that a tool gives itself, wherever an API has it (`function.name`, `custom.name`, `name`), after its type
 * where that is one. Each once.
 */
export function namesOfTool(check: Check, tool: JsonObject, at: string, type?: string): { name: string }[] {
  const names = new Set<string>();
  if (type !== undefined) names.add(type);
  for (const kind of described) {
    if (tool[kind] === undefined || tool[kind] === null) continue;
    const place = `${at}.${kind}`;
    const name = check.optionalText(check.object(tool[kind], place), 'name', place);
    if (name !== undefined) names.add(name);
  }
  const name = check.optionalText(tool, 'name', at);
  if (name !== undefined) names.add(name);
  return Array.from(names, (name) => ({ name }));
}
