import { z } from 'zod';

const MiB = 1024 * 1024;

/** `record.journal`: the log on local disk that every answer waits for. */
export const journalConfig = z.strictObject({
  dir: z
    .string()
    .min(1)
    .default('journal')
    .describe(
      'Folder of this process\'s journal; one live process a folder. Relative to stateDir. Default "journal". Keep it on a volume that survives the process.',
    ),
  durability: z
    .enum(['fsync', 'os'])
    .default('fsync')
    .describe(
      '"fsync" (default): a yes and a last chunk wait until the record is on the disk (fdatasync, group commit). "os": they wait for the operating system only; a power cut may lose about `syncIntervalMs` of the record.',
    ),
  segmentBytes: z
    .int()
    .min(1 * MiB)
    .max(64 * MiB)
    .default(32 * MiB)
    .describe(
      'Size at which a new segment file begins. Default 32 MiB: large enough that rotation is rare, small enough that shipped segments free space early.',
    ),
  maxBytes: z
    .int()
    .min(16 * MiB)
    .default(4096 * MiB)
    .describe(
      'Size of the journal at which the gate refuses new requests (503) until the store has caught up; a reserve above it (an eighth, at least two segments) lets the sessions that run finish on the record. Default 4 GiB: hours of a store outage.',
    ),
  maxPendingBytes: z
    .int()
    .min(1 * MiB)
    .default(32 * MiB)
    .describe(
      'Bytes that may wait in memory for the disk. Beyond it nothing is taken (503). Default 32 MiB: several seconds of a slow disk.',
    ),
  syncIntervalMs: z
    .int()
    .min(10)
    .max(60_000)
    .default(1000)
    .describe(
      'Longest time that written chunks stay unsynced when nobody waits for them, in milliseconds. Default 1000; it bounds what a power cut may take from a running stream.',
    ),
  refusals: z
    .strictObject({
      perSecond: z
        .int()
        .min(1)
        .default(5)
        .describe(
          'Refusals without a caller that are recorded one by one, per reason and client address and second; more are counted together. Default 5.',
        ),
      windowMs: z
        .int()
        .min(100)
        .default(10_000)
        .describe(
          'How long refusals beyond the rate are counted before they are recorded as one event with a count, in milliseconds. Default 10000.',
        ),
      maxAddresses: z
        .int()
        .min(1)
        .default(4096)
        .describe(
          'Client addresses that are told apart; IPv6 by /64. Default 4096: bounds the memory of a flood from many addresses.',
        ),
      maxShare: z
        .number()
        .gt(0)
        .max(0.5)
        .default(0.1)
        .describe(
          'Share of `maxBytes` that such refusals may use before they are counted by reason alone. Default 0.1: a flood of 401s closes nothing.',
        ),
    })
    .prefault({}),
  maxOpenSessions: z
    .int()
    .min(1000)
    .default(50_000)
    .describe(
      'Sessions without an end that are remembered, so that a restart can end them as "unknown". Default 50000.',
    ),
});

export type JournalConfig = z.infer<typeof journalConfig>;

/** `record.shipping`: from the journal into the store. */
export const shippingConfig = z.strictObject({
  flushIntervalMs: z
    .int()
    .min(10)
    .default(1000)
    .describe(
      'Longest time that a synced record waits for a batch to fill, in milliseconds. Default 1000: few large inserts cost the engine a quarter of many small ones. Whoever reads by the CLI gets what is synced, shipped first.',
    ),
  maxBatchRecords: z
    .int()
    .min(1)
    .default(20_000)
    .describe('Records in one batch. Default 20000: the engine is fastest with thousands of rows an insert.'),
  maxBatchBytes: z
    .int()
    .min(64 * 1024)
    .default(8 * MiB)
    .describe('Bytes in one batch. Default 8 MiB: bounds memory, and the time that one insert takes.'),
  retryMinMs: z
    .int()
    .min(10)
    .default(250)
    .describe('First pause after a failed insert, in milliseconds; doubled each time. Default 250.'),
  retryMaxMs: z
    .int()
    .min(100)
    .default(15_000)
    .describe('Longest pause between tries while the store is down, in milliseconds. Default 15000.'),
  quarantineAfter: z
    .int()
    .min(1)
    .default(5)
    .describe(
      'How often a batch may kill or be rejected by the engine before it is put into a file and passed over, loudly. Default 5.',
    ),
});

export type ShippingConfig = z.infer<typeof shippingConfig>;

export const recordConfig = z.strictObject({
  detect: z
    .array(z.string().min(1))
    .min(1)
    .default(['all'])
    .describe(
      'Detectors or categories that mask what is recorded, whatever was delivered, before it reaches the journal. Default all: clear personal data is in no file of the gateway.',
    ),
  journal: journalConfig.prefault({}),
  shipping: shippingConfig.prefault({}),
});
