import { z } from 'zod';

const MiB = 1024 * 1024;

const retention = z
  .strictObject({
    eventDays: z
      .int()
      .min(1)
      .max(36_500)
      .default(400)
      .describe('Days that events are kept. Default 400: a year and the time to audit it.'),
    contentDays: z
      .int()
      .min(1)
      .max(36_500)
      .default(90)
      .describe('Days that request and response texts are kept. Default 90.'),
  })
  .prefault({});

const embedded = z.strictObject({
  engine: z
    .literal('embedded')
    .describe('The ClickHouse engine in a process of its own, started by the gateway (npm package `chdb`).'),
  dir: z
    .string()
    .min(1)
    .default('store')
    .describe('Folder of the engine\'s data, relative to stateDir; one gateway process a folder. Default "store".'),
  memoryBytes: z
    .int()
    .min(256 * MiB)
    .default(1024 * MiB)
    .describe('What the engine may use for queries, merges and caches. Default 1 GiB; about 250 MB are used at rest.'),
  insertTimeoutMs: z
    .int()
    .min(1000)
    .default(120_000)
    .describe('An insert that takes longer means a stuck engine: it is killed and started again. Default 120000.'),
  queryTimeoutMs: z.int().min(1000).default(30_000).describe('Longest time for one query. Default 30000.'),
  retention,
});

const clickhouse = z
  .strictObject({
    engine: z.literal('clickhouse').describe('A ClickHouse server or cluster, over HTTP(S).'),
    url: z
      .url({ protocol: /^https?$/ })
      .refine((text) => {
        const { username, password } = new URL(text);
        return username === '' && password === '';
      }, 'put the user and the password into their own options, not into the URL')
      .describe('Address, such as https://clickhouse.example.com:8443. No credentials in it.'),
    database: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .default('sallyport')
      .describe('Database; created if it may be. Default "sallyport".'),
    user: z.string().min(1).default('default').describe('User. Default "default".'),
    passwordEnv: z.string().min(1).optional().describe('Environment variable that holds the password. Default: none.'),
    passwordFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the password (its last newline is left out). Default: none.'),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file of the authorities that the server is checked against. Default: those of Node.'),
    certFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file of the client certificate, for mutual TLS. Default: none.'),
    keyFile: z.string().min(1).optional().describe("PEM file of the client certificate's key. Default: none."),
    insertTimeoutMs: z.int().min(1000).default(120_000).describe('Longest time for one insert. Default 120000.'),
    queryTimeoutMs: z.int().min(1000).default(30_000).describe('Longest time for one query. Default 30000.'),
    retention,
  })
  .refine((config) => config.passwordEnv === undefined || config.passwordFile === undefined, {
    message: 'give passwordEnv or passwordFile, not both',
    path: ['passwordFile'],
  })
  .refine((config) => (config.certFile === undefined) === (config.keyFile === undefined), {
    message: 'certFile and keyFile go together',
    path: ['keyFile'],
  });

/** `store`: where the record is kept. */
export const storeConfig = z.discriminatedUnion('engine', [embedded, clickhouse]).prefault({ engine: 'embedded' });

export type StoreConfig = z.infer<typeof storeConfig>;
export type EmbeddedConfig = Extract<StoreConfig, { engine: 'embedded' }>;
export type ClickhouseConfig = Extract<StoreConfig, { engine: 'clickhouse' }>;
