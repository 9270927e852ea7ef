/** A process that owns an embedded engine until it is killed. `node engine-owner.ts DIR`: prints the engine's process id. */
import { storeConfig } from '../../../src/store/config.ts';
import { openEmbedded } from '../../../src/store/embedded.ts';

const [, , dir] = process.argv;
const config = storeConfig.parse({ engine: 'embedded', dir });
if (config.engine !== 'embedded') throw new Error('not embedded');
const store = await openEmbedded(config);
console.log(store.enginePid);
