import { z } from 'zod';

const sqlite = z.strictObject({
  engine: z
    .literal('sqlite')
    .optional()
    .default('sqlite')
    .describe('One SQLite file, for the gateways of one machine. The default.'),
  file: z
    .string()
    .min(1)
    .default('control.db')
    .describe(
      'SQLite file of the control state, relative to the state folder. Made with mode 0600. Default `control.db`.',
    ),
  busyTimeoutMs: z
    .int()
    .min(1)
    .max(5000)
    .default(1000)
    .describe(
      'Milliseconds to wait for another process that writes to the same file; then the gate answers 503. Default 1000.',
    ),
});

const redis = z
  .strictObject({
    engine: z
      .literal('redis')
      .describe(
        'A Redis (6 or newer) or Valkey primary that all replicas share. [operations.md](operations.md#control-state) has what it must be set to, and what a failover may lose.',
      ),
    url: z
      .url({ protocol: /^rediss?$/ })
      .refine((text) => {
        if (!URL.canParse(text)) return true;
        const { hostname, username, password, pathname, search, hash } = new URL(text);
        return hostname !== '' && username + password + search + hash === '' && /^\/?$/.test(pathname);
      }, 'must be redis://host:port or rediss://host:port; user, password and database have options of their own')
      .describe(
        'Address of the primary, or a name that follows it: `rediss://host:port` (TLS) or `redis://host:port` (all of it readable on the way). Default port 6379.',
      ),
    username: z.string().min(1).optional().describe('ACL user. Default: Redis’s `default`.'),
    passwordEnv: z.string().min(1).optional().describe('Environment variable that holds the password. Default: none.'),
    passwordFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'File that holds the password (its last newline is left out), read anew for each connection. Default: none.',
      ),
    database: z.int().min(0).default(0).describe('Number of the database. Default 0.'),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file of the authorities that the server is checked against. Default: those of Node.'),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9:._-]{1,64}$/, 'must be 1 to 64 letters, digits and : . _ -')
      .default('sallyport:')
      .describe(
        'What all keys begin with, in braces: `{sallyport:}…`. Gateways that share state have the same, others another. Default `sallyport:`.',
      ),
    timeoutMs: z
      .int()
      .min(10)
      .max(30_000)
      .default(1000)
      .describe(
        'Longest wait for an answer, in milliseconds; then the gate answers 503 and connects anew. Default 1000: far over what Redis takes, under what a caller waits.',
      ),
  })
  .refine((config) => config.passwordEnv === undefined || config.passwordFile === undefined, {
    message: 'give passwordEnv or passwordFile, not both',
    path: ['passwordFile'],
  })
  .refine((config) => config.username === undefined || (config.passwordEnv ?? config.passwordFile) !== undefined, {
    message: 'needs passwordEnv or passwordFile',
    path: ['username'],
  })
  .refine((config) => config.caFile === undefined || config.url.startsWith('rediss:'), {
    message: 'is for rediss:// only',
    path: ['caFile'],
  });

/** The `state:` section: control state, what replicas must agree on (approvals, grants, replay and revocation lists). */
export const stateSection = z
  .discriminatedUnion('engine', [sqlite, redis])
  .describe('Control state: what gateways must agree on, such as replay lists, revocations and logins under way.');

export type StateConfig = Readonly<z.output<typeof stateSection>>;
export type RedisConfig = Extract<StateConfig, { engine: 'redis' }>;
