/** `npm test [-- vitest's arguments]`: brings what is missing, runs all tests, ends with a line of counts. */

import { closingLine, runTests } from './bootstrap/tests.mjs';
import { bootstrap, main, root } from './bootstrap.mjs';

await main(async () => {
  const { node, env, skipped } = await bootstrap({ tests: true });
  const counts = await runTests({ root, node, env, args: process.argv.slice(2) });
  for (const reason of skipped) process.stdout.write(`  - skipped: ${reason}\n`);
  process.stdout.write(`${closingLine(counts)}\n`);
  return counts.failed > 0 ? 1 : 0;
});
