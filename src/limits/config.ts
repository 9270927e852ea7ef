import { z } from 'zod';

/** The `limits:` section. */
export const limitsSection = z
  .strictObject({
    store: z
      .enum(['memory', 'redis'])
      .optional()
      .describe(
        'Where requests and tokens are counted: `memory`, each process by itself and from zero after a restart, or `redis`, together, in the Redis of `state`. Default: `redis` where `state.engine` is `redis`, else `memory`.',
      ),
    onUnavailable: z
      .enum(['closed', 'local'])
      .default('closed')
      .describe(
        'What happens to limited requests while Redis is out of reach: `closed`, they get 503; `local`, each process counts by itself meanwhile, from zero, so each allows the whole limit. Default `closed`.',
      ),
    timeoutMs: z
      .int()
      .min(10)
      .max(5000)
      .default(250)
      .describe(
        'Longest wait for Redis, in milliseconds; then it counts as out of reach and is connected anew. Default 250: Redis takes 1, and every limited request waits.',
      ),
    assumedMaxTokens: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(4096)
      .describe(
        'Tokens that are reserved for an answer where the client names no maximum, or what the limit has room for, if that is less. Default 4096.',
      ),
    maxCounters: z
      .int()
      .min(1000)
      .max(10_000_000)
      .default(200_000)
      .describe(
        'Most counters and sessions under way that one process keeps in memory, about 300 bytes each; at the bound, requests that need another one get 503. Default 200000.',
      ),
  })
  .describe('Counters of the limits that policies set (`then: limit`).');

export type LimitsConfig = Readonly<z.output<typeof limitsSection>>;
