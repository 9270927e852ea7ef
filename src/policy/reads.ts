/** What a rule needs to be computed before it can be evaluated, its variables included. Rather too much than too little. */
export interface Reads {
  readonly findings: boolean;
  readonly filters: boolean;
  /** Names of guards, sorted. */
  readonly guards: readonly string[];
  /** Anything that is known only once there is a request. */
  readonly request: boolean;
  readonly toolCall: boolean;
}

interface Variable {
  readonly name: string;
  readonly expression: string;
}

/** By the words of the expressions. */
export function readsOf(texts: readonly string[], variables: readonly Variable[], guards: readonly string[]): Reads {
  const all = [...texts];
  const open = new Map(variables.map(({ name, expression }) => [name, expression]));
  for (const text of all)
    for (const [name, expression] of open)
      if (text.includes(name)) {
        all.push(expression);
        open.delete(name);
      }
  const has = (pattern: RegExp) => all.some((text) => pattern.test(text));
  return {
    findings: has(/findings/),
    filters: has(/filters/),
    guards: has(/guard/) ? guards : [],
    request: has(/request|http|guard|response|toolCall/),
    toolCall: has(/toolCall/),
  };
}
