/** `.ci/run`: all tests and all static checks on a new machine. The last line counts tests and checks together. */

import { runChecks, runMutants } from './bootstrap/checks.mjs';
import { closingLine, runTests } from './bootstrap/tests.mjs';
import { bootstrap, main, root } from './bootstrap.mjs';

await main(async () => {
  const { node, env, skipped } = await bootstrap({ tests: true });
  const tests = await runTests({ root, node, env, args: [] });
  for (const reason of skipped) process.stdout.write(`  - skipped: ${reason}\n`);
  const checks = await runChecks({ root, node, env });
  const mutants = await runMutants({ root, node, env });
  const total = {
    passed: tests.passed + checks.passed + mutants.passed,
    failed: tests.failed + checks.failed + mutants.failed,
    skipped: tests.skipped + checks.skipped,
  };
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 ? 1 : 0;
});
