import { join } from 'node:path';
import { z } from 'zod';
import { CliError, exitCodes } from '../cli.ts';
import { LockTimeout, withFileLock } from './file-lock.ts';
import { makePrivateFolder, readPrivate, removePrivate, writePrivate } from './private-file.ts';

const sourceSchema = z.strictObject({
  issuer: z.string(),
  clientId: z.string(),
  resource: z.string().optional(),
  tokenEndpoint: z.string(),
  /** What was asked for. */
  scopes: z.array(z.string()),
});

/** Who gave the provider's tokens, and for what: a refresh token is sent nowhere else, whatever the gateway says later. */
export type Source = z.output<typeof sourceSchema>;

const entrySchema = z.strictObject({
  /** Name of the provider at the gateway. */
  provider: z.string(),
  /** The provider's refresh token; none where it gives none, and with SAML. */
  refreshToken: z.string().optional(),
  /** None with SAML. */
  source: sourceSchema.optional(),
  /** The gateway's own token. */
  token: z.string(),
  obtainedAtMs: z.number(),
  expiresAtMs: z.number(),
});

/** One sign-in. Times are epoch milliseconds of this machine. */
export type Entry = z.output<typeof entrySchema>;

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** Gateway of the last sign-in: the one that is meant where none is named. */
  last: z.string().optional(),
  gateways: z.record(z.string(), entrySchema),
});

type CredentialsFile = z.output<typeof fileSchema>;

/** Longest that a refresh by another process is waited for: two requests to the provider and one to the gateway. */
const lockTimeoutMs = 60_000;

/** What is kept of sign-ins: `credentials.json` in the user's config folder. */
export interface Credentials {
  readonly path: string;
  /** Throws CliError where the file may be read by others, or is not ours. */
  read(): CredentialsFile;
  /** Why `read` would throw. */
  problem(): CliError | undefined;
  /** Fails early where nothing could be kept. Throws CliError. */
  ensureWritable(): void;
  /** Runs `work` while no other process changes the file. Throws CliError when it is not free within 60 s. */
  exclusively<T>(work: (write: Write) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export interface Write {
  /** Keeps a sign-in; `isNew` makes its gateway the last one. */
  save(gateway: string, entry: Entry, isNew?: boolean): void;
  remove(gateway: string): void;
  /** Removes the file, whatever it is; returns the sign-ins in it, undefined where they cannot be known. Throws CliError. */
  discard(): CredentialsFile['gateways'] | undefined;
}

export function openCredentials(folder: string): Credentials {
  const path = join(folder, 'credentials.json');
  const read = (): CredentialsFile => {
    const text = readPrivate(path);
    if (text === undefined) return { version: 1, gateways: {} };
    const file = parsed(text);
    if (file !== undefined) return file;
    throw new CliError(
      exitCodes.failed,
      `${path} is not what \`sallyport login\` writes.`,
      '`sallyport logout` removes it; then sign in again. Another version of sallyport may have written it.',
    );
  };
  const store = (file: CredentialsFile) => {
    const text = `${JSON.stringify(file, null, 2)}\n`;
    // What cannot be read again would cost the user every sign-in, not just this one.
    if (parsed(text) === undefined) throw new TypeError('a sign-in that cannot be kept');
    writePrivate(path, text);
  };
  const write: Write = {
    save(gateway, entry, isNew = false) {
      const { last = gateway, gateways } = read();
      store({ version: 1, last: isNew ? gateway : last, gateways: { ...gateways, [gateway]: entry } });
    },
    remove(gateway) {
      const { [gateway]: _, ...gateways } = read().gateways;
      const last = Object.keys(gateways)[0];
      store({ version: 1, ...(last === undefined ? {} : { last }), gateways });
    },
    discard() {
      const text = caught(() => readPrivate(path, { exposed: true }));
      removePrivate(path);
      return typeof text === 'string' ? parsed(text)?.gateways : undefined;
    },
  };
  return {
    path,
    read,
    problem: () => {
      const found = caught(read);
      return found instanceof CliError ? found : undefined;
    },
    ensureWritable() {
      makePrivateFolder(folder);
      read();
    },
    async exclusively(work, signal) {
      makePrivateFolder(folder);
      const options = { timeoutMs: lockTimeoutMs, ...(signal && { signal }) };
      try {
        return await withFileLock(`${path}.lock`, options, () => work(write));
      } catch (error) {
        if (!(error instanceof LockTimeout)) throw error;
        throw new CliError(
          exitCodes.failed,
          `Another sallyport has been busy with ${path} for ${lockTimeoutMs / 1000} s.`,
          'See what hangs (`ps`), end it, and try again.',
          error,
        );
      }
    },
  };
}

function parsed(text: string): CredentialsFile | undefined {
  try {
    return fileSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** A problem for the user as a value. */
function caught<T>(work: () => T): T | CliError {
  try {
    return work();
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
}
