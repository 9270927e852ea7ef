import { defineConfig } from 'vitest/config';

// Attacks on one part alone: the real servers are met in the other files of test/attacks.
const ATTACKS_ON_A_PART = 'test/attacks/{lines,masking-text,saml*,tokens,token-*}.test.ts';

// Two projects: `fast` needs nothing but Node; `e2e` starts real servers, one file at a time (two shared cores).
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', ATTACKS_ON_A_PART],
          testTimeout: 20_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/attacks/**/*.test.ts'],
          exclude: [ATTACKS_ON_A_PART],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          pool: 'forks',
        },
      },
    ],
  },
});
