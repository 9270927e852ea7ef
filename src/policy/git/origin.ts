import type { Origin } from '../source.ts';

export interface GitOptions {
  readonly dir: string;
  readonly password: (() => Promise<string>) | undefined;
}
export function gitOrigin(_options: GitOptions): Origin {
  throw new Error('soon');
}
