import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutants } from '../../mutations/mutants.ts';

const src = join(import.meta.dirname, '..', '..', '..', 'src');

describe('a planted bug', () => {
  it.each(mutants)('$name is in its file exactly once, and is a change', ({ file, find, replace }) => {
    expect(readFileSync(join(src, file), 'utf8').split(find)).toHaveLength(2);
    expect(replace).not.toBe(find);
  });

  it('is one of twelve at least, each with a name of its own', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    expect(mutants.length).toBeGreaterThanOrEqual(12);
  });
});
