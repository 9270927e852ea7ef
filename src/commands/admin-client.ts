import { request } from 'node:http';
import { connect } from 'node:net';
import { adminSocket, type Config } from '../config.ts';
import { createAdminApp, readerHeader } from '../console/admin.ts';
import type { Archive } from '../console/archive.ts';
import { CliError, exitCodes } from './cli.ts';

/**
 * Opens the record where no gateway runs. Only one process can own the store; `close` gives it up. Throws where there is no
 * store yet or somebody else owns it.
 */
export type OpenArchive = (config: Config) => Promise<{ readonly archive: Archive; close(): Promise<void> }>;

/** Asks the admin API; returns the JSON of a 2xx answer, throws CliError for any other. */
export type Ask = (method: 'GET' | 'POST', path: string, body?: unknown) => Promise<unknown>;

/**
 * Gives `use` a way to ask: the running gateway over its admin socket, or else, where `open` is given, the same app over the
 * store opened here. Both put every look on the record.
 */
export async function withAdmin<T>(
  config: Config,
  user: string,
  open: OpenArchive | undefined,
  use: (ask: Ask) => Promise<T>,
): Promise<T> {
  const socket = adminSocket(config);
  if (await isListening(socket)) return use((method, path, body) => askSocket(socket, user, method, path, body));
  if (open === undefined)
    throw new CliError(
      exitCodes.unreachable,
      `No gateway is running on ${config.stateDir}.`,
      'Start it with `npm start` or `sallyport up`.',
    );
  const { archive, close } = await open(config).catch((error: unknown) => {
    throw new CliError(
      exitCodes.unreachable,
      `No gateway is running on ${config.stateDir}, and the record there cannot be opened (${error instanceof Error ? error.message : 'unknown'}).`,
      'Start the gateway with `npm start` or `sallyport up`, or name another configuration with --config.',
      error,
    );
  });
  try {
    const app = createAdminApp(archive);
    return await use(async (method, path, body) => {
      const response = await app.request(path, {
        method,
        headers: { [readerHeader]: user, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return answer(response.status, await response.text());
    });
  } finally {
    await close();
  }
}

function askSocket(socketPath: string, user: string, method: string, path: string, body: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { [readerHeader]: user, 'content-type': 'application/json', host: 'sallyport' };
    const outgoing = request({ socketPath, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve(answer(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error);
        }
      });
    });
    outgoing.on('error', (error) =>
      reject(
        new CliError(
          exitCodes.unreachable,
          'The gateway went away before it answered.',
          'Look at its log, then try again.',
          error,
        ),
      ),
    );
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const exitByCode: Readonly<Record<string, number>> = {
  session_unknown: exitCodes.notFound,
  invalid_argument: exitCodes.usage,
  format_chosen: exitCodes.usage,
  unknown_provider: exitCodes.usage,
};

const remedyByCode: Readonly<Record<string, string>> = {
  session_unknown: '`sallyport sessions list` shows the ids; one that has just ended may take a second to arrive.',
  invalid_argument: 'See --help.',
  format_chosen: 'Leave it out; `--json` prints JSON.',
  sql_reads_only: 'If that is what you mean, say --write.',
  query_refused: 'Correct the query; `sallyport sql "SHOW TABLES"` shows what there is.',
  unknown_provider: 'Name it as in `identity.providers` or `identity.saml`; mTLS peers are `mesh/<SPIFFE id>`.',
  revocation_failed: 'Look at the state store (`state` in /readyz), then run this again.',
  revocation_not_recorded: 'The journal takes no events: `sallyport doctor` says why. Then run this again.',
  look_not_recorded: 'The journal takes no events: `sallyport doctor` says why.',
};

function answer(status: number, text: string): unknown {
  const body = parse(text);
  if (status >= 200 && status < 300) return body;
  const error =
    typeof body === 'object' && body !== null && 'error' in body
      ? (body.error as { code?: unknown; message?: unknown })
      : {};
  const code = String(error.code ?? '');
  throw new CliError(
    exitByCode[code] ?? exitCodes.failed,
    typeof error.message === 'string' ? error.message : `The gateway answered ${status}.`,
    remedyByCode[code] ?? 'Look at the log of the gateway.',
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether somebody answers on the socket. */
function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
