/** `node scripts/run.mjs FILE [ARGS]`: brings what is missing, then runs a TypeScript file of ours with Node 24. */

import { foreground } from './bootstrap/run.mjs';
import { bootstrap, main, root } from './bootstrap.mjs';

await main(async () => {
  const { node, env } = await bootstrap();
  return foreground(node, process.argv.slice(2), { cwd: root, env });
});
