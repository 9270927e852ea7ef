import type { StoreConfig } from './config.ts';
import { type EmbeddedEvents, openEmbedded } from './embedded.ts';
import type { Store } from './port.ts';
import { openRemote } from './remote.ts';

/** Opens the store that the config names. Throws StoreError. Call `migrate()` before the first insert. */
export function openStore(
  config: StoreConfig,
  environment: Readonly<Record<string, string | undefined>>,
  events: EmbeddedEvents = {},
): Promise<Store> {
  switch (config.engine) {
    case 'embedded':
      return openEmbedded(config, events);
    case 'clickhouse':
      return openRemote(config, environment);
  }
}
