/** `npm run check`: types, lint and format, import table, unused code, generated docs. */

import { runChecks } from './bootstrap/checks.mjs';
import { closingLine } from './bootstrap/tests.mjs';
import { bootstrap, main, root } from './bootstrap.mjs';

await main(async () => {
  const { node, env } = await bootstrap();
  const counts = await runChecks({ root, node, env });
  process.stdout.write(`${closingLine(counts)}\n`);
  return counts.failed > 0 ? 1 : 0;
});
