import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { mutants } from './mutants.ts';

const root = join(import.meta.dirname, '..', '..');
const mutant = mutants.find(({ name }) => name === process.env['MUTANT']);

/** Tests of detection and masking, named on the command line, with one bug in the source as they load it. */
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
    include: ['test/{unit,property}/**/*.test.ts'],
    testTimeout: 60_000,
    maxWorkers: 2,
    bail: 1,
    // It does not know that a mutant is in what it keeps.
    fsModuleCache: false,
  },
});
