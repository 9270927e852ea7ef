import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { mutants } from './mutants.ts';

const root = join(import.meta.dirname, '..', '..');
const mutant = mutants.find(({ name }) => name === process.env['MUTANT']);

/** The tests of detection and masking, with one bug in the source as they load it. */
export default defineConfig({
  root,
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      transform(code: string, id: string) {
        if (mutant === undefined || id !== join(root, 'src', mutant.file)) return undefined;
        if (code.split(mutant.find).length !== 2)
          throw new Error(`${mutant.name} is not in ${mutant.file} exactly once`);
        return { code: code.replace(mutant.find, () => mutant.replace), map: null };
      },
    },
  ],
  test: {
    include: [
      'test/property/{detect,masking,operators}.test.ts',
      'test/unit/detect/{context,scan}.test.ts',
      'test/unit/mask/{text,sse,sse-attacks,arguments,other-streams,structural,openai-family}.test.ts',
    ],
    testTimeout: 60_000,
    maxWorkers: 2,
    bail: 1,
  },
});
