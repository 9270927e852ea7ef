import { callOf, literal, type Node, pathOf } from './ast.ts';
import { variableRoots } from './variables.ts';

/** What a program may look at when it runs. Never too little: a name that a macro binds counts as the variable of that name. */
export interface Reads {
  /** `request.findings`, `caller.groups`, `now`, …; `request` alone: all of it. */
  readonly paths: ReadonlySet<string>;
  /** Guards by name. */
  readonly guards: ReadonlySet<string>;
  /** Names of the policy's `variables`; what those read is not in here. */
  readonly variables: ReadonlySet<string>;
}

/** Whether a program may look at a field (`request.findings`) or at anything of a variable (`response`). */
export function mayRead({ paths }: Reads, path: string): boolean {
  if (paths.has(path)) return true;
  const [root = ''] = path.split('.', 1);
  return root === path ? [...paths].some((other) => other.startsWith(`${path}.`)) : paths.has(root);
}

export function readsOf(nodes: readonly Node[], variableNames: Iterable<string>): Reads {
  const paths = new Set<string>();
  const guards = new Set<string>();
  const variables = new Set<string>();
  const owners = new Set<Node>();
  for (const node of nodes) {
    const call = callOf(node);
    if (call?.name === 'guard') guards.add(literal(call.args[0]) ?? '');
    const owner = node.op === '.' || node.op === '[]' ? (node.args as [Node])[0] : undefined;
    const path = owner?.op === 'id' ? pathOf(node) : undefined;
    if (owner === undefined || path === undefined) continue;
    owners.add(owner);
    note(path);
  }
  for (const node of nodes) if (node.op === 'id' && !owners.has(node)) note(node.args as string);
  return { paths, guards, variables };

  function note(path: string): void {
    const [root = '', field] = path.split('.', 2);
    if (root === 'variables') for (const name of field === undefined ? variableNames : [field]) variables.add(name);
    else if (variableRoots.has(root)) paths.add(path);
  }
}
