import { SYMBOLS } from './fold.ts';
import type { Edge, Node } from './pattern.ts';

/** What is accepted when a match ends: the rules whose pattern this is, and what must follow it. */
export interface Accept {
  readonly rules: readonly number[];
  readonly right: Edge;
}

const anything = new Uint8Array(SYMBOLS).fill(1);

/** A Thompson NFA of all patterns together. States are numbers; `closure` leaves out those that only pass on. */
export class Nfa {
  /** Per state: the symbols that it reads, or undefined when it reads none. */
  readonly reads: (Uint8Array | undefined)[] = [];
  /** Per state: where it goes when it has read. */
  readonly target: number[] = [];
  readonly accept: (Accept | undefined)[] = [];
  readonly #passes: number[][] = [];
  readonly #closures: (readonly number[] | undefined)[] = [];

  get size(): number {
    return this.reads.length;
  }

  state(): number {
    this.#passes.push([]);
    this.target.push(-1);
    this.accept.push(undefined);
    return this.reads.push(undefined) - 1;
  }

  /** Adds a fragment that ends in `accept`; returns its first state. */
  add(node: Node, accept: Accept): number {
    const start = this.state();
    this.accept[this.#build(node, start)] = accept;
    return start;
  }

  /** Like `add`, but the match may begin anywhere in what is read. */
  addSearch(node: Node, accept: Accept): number {
    const start = this.state();
    this.reads[start] = anything;
    this.target[start] = start;
    this.#passes[start]!.push(this.add(node, accept));
    return start;
  }

  /** States that read or accept, reachable from this one without reading; sorted. */
  closure(state: number): readonly number[] {
    const known = this.#closures[state];
    if (known !== undefined) return known;
    const seen = new Set([state]);
    for (const each of seen) for (const next of this.#passes[each]!) seen.add(next);
    const closure = [...seen]
      .filter((each) => this.reads[each] !== undefined || this.accept[each] !== undefined)
      .sort((a, b) => a - b);
    this.#closures[state] = closure;
    return closure;
  }

  #build(node: Node, from: number): number {
    switch (node.type) {
      case 'symbols': {
        // A state reads one class at most, so that reading never depends on the order of edges.
        const reader = this.reads[from] === undefined ? from : this.#after(from);
        this.reads[reader] = node.accepts;
        this.target[reader] = this.state();
        return this.target[reader]!;
      }
      case 'sequence':
        return node.nodes.reduce((at, each) => this.#build(each, at), from);
      case 'choice': {
        const end = this.state();
        for (const each of node.nodes) this.#passes[this.#build(each, from)]!.push(end);
        return end;
      }
      case 'repeat': {
        let at = from;
        for (let i = 0; i < node.min; i++) at = this.#build(node.node, at);
        const end = this.state();
        for (let i = node.min; i < node.max; i++) {
          this.#passes[at]!.push(end);
          at = this.#build(node.node, at);
        }
        this.#passes[at]!.push(end);
        return end;
      }
    }
  }

  #after(from: number): number {
    const next = this.state();
    this.#passes[from]!.push(next);
    return next;
  }
}
