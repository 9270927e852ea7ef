/** The part of the library's tree that we touch (version pinned; test/unit/policy/cel.test.ts fails if it moves). */
export interface Node {
  readonly op: string;
  args: unknown;
  readonly start: number;
  readonly meta?: { readonly alternate?: unknown; readonly macro?: unknown };
  setMeta(key: string, value: unknown): this;
  handle?: (...args: unknown[]) => unknown;
  readonly checkedType?: CelType;
  readonly argTypes?: readonly CelType[];
}

export interface CelType {
  readonly name: string;
  readonly keyType?: CelType;
}

export interface Comprehension {
  condition?: (accumulated: unknown) => boolean;
  readonly iterable: unknown;
  readonly init: unknown;
  readonly step: unknown;
}

/** A call: its name, the receiver of a method, the arguments. */
export interface Call {
  readonly name: string;
  readonly receiver: Node | undefined;
  readonly args: readonly Node[];
}

/** Every node below, expanded macros included. */
export function nodesOf(root: unknown): Node[] {
  const nodes: Node[] = [];
  collect(root, nodes, new Set());
  return nodes;
}

function collect(value: unknown, into: Node[], seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (Array.isArray(value)) {
    for (const item of value) collect(item, into, seen);
    return;
  }
  if (!('op' in value) || typeof value.op !== 'string') return;
  const node = value as Node;
  into.push(node);
  collect(node.args, into, seen);
  if (node.op === 'comprehension') {
    const { iterable, init, step } = node.args as Comprehension;
    collect([iterable, init, step], into, seen);
  }
  collect(node.meta?.alternate, into, seen);
  if (typeof node.meta?.macro === 'object' && node.meta.macro !== null)
    collect(Object.values(node.meta.macro), into, seen);
}

export function callOf(node: Node): Call | undefined {
  if (node.op === 'call') {
    const [name, args] = node.args as [string, Node[]];
    return { name, receiver: undefined, args };
  }
  if (node.op !== 'rcall') return undefined;
  const [name, receiver, args] = node.args as [string, Node, Node[]];
  return { name, receiver, args };
}

/** The text of a string literal. */
export function literal(node: Node | undefined): string | undefined {
  return node?.op === 'value' && typeof node.args === 'string' ? node.args : undefined;
}

/** `request.findings` for a chain of names, however it is written (`request["findings"]`); undefined for anything else. */
export function pathOf(node: Node): string | undefined {
  if (node.op === 'id') return node.args as string;
  if (node.op !== '.' && node.op !== '[]') return undefined;
  const [owner, key] = node.args as [Node, string | Node];
  const name = typeof key === 'string' ? key : literal(key);
  const path = pathOf(owner);
  return name === undefined || path === undefined ? undefined : `${path}.${name}`;
}
