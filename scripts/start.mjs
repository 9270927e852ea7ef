/** `npm start`: brings what is missing, then the whole gateway with its demo. Arguments are passed on. */

import { foreground } from './bootstrap/run.mjs';
import { bootstrap, main, root } from './bootstrap.mjs';

await main(async () => {
  const { node, env } = await bootstrap();
  return foreground(node, ['src/main.ts', 'up', '--demo', ...process.argv.slice(2)], { cwd: root, env });
});
