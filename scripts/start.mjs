/** `npm start`: brings what is missing, then the whole gateway with its demo. Arguments are passed on. */

import { foreground } from './bootstrap/run.mjs';
import { bootstrap, main, root } from './bootstrap.mjs';

await main(async () => {
  const { node, env } = await bootstrap();
  // The heap flag: see the first lines of src/main.ts.
  return foreground(node, ['--max-semi-space-size=4', 'src/main.ts', 'up', '--demo', ...process.argv.slice(2)], {
    cwd: root,
    env,
  });
});
