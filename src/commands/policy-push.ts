import { request } from 'node:http';
import type { Command } from 'commander';
import { adminSocket } from '../config.ts';
import { readerHeader } from '../console/admin.ts';
import { readPolicyFiles } from '../policy/files.ts';
import { formatProblem } from '../policy/problem.ts';
import { CliError, examples, exitCodes, type Io, type Program } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { boundedFetch } from './login/bounded-fetch.ts';
import { openCredentials } from './login/credentials.ts';
import { freshToken } from './login/fresh.ts';
import { trustedGateway } from './login/gateway.ts';
import { configFolder } from './login/private-file.ts';
import { unreachable } from './login/problems.ts';
import { escapeControls } from './text.ts';

interface PushOptions extends ConfigOption {
  readonly gateway?: string;
  readonly expect?: string;
  readonly check?: boolean;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

type Send = (query: string, headers: Readonly<Record<string, string>>, body: string) => Promise<Answer>;

const timeoutMs = 60_000;
/** Validity that the push itself needs, milliseconds. */
const minValidityMs = 60_000;

/** `sallyport policy push DIR`: below `sallyport policy`. */
export function addPush(policyCommand: Command, { io, action }: Program): void {
  withConfig(policyCommand.command('push'))
    .description('put the policies of a folder in force on a gateway with `policies.source: push`')
    .argument('<dir>', 'folder of the policies')
    .option(
      '-g, --gateway <url>',
      'publicUrl of a gateway elsewhere, as who is signed in there (default: the one on this machine, by its admin socket)',
    )
    .option('--expect <revision>', 'only if this revision is in force: nobody else’s push is overwritten')
    .option('--check', 'only say whether the gateway would take them')
    .addHelpText(
      'after',
      examples(
        'sallyport policy push policies --check',
        'sallyport policy push policies --gateway https://gate.example --expect sha256:0123456789abcdef',
      ),
    )
    .action(
      action(async (dir: string, options: PushOptions) => {
        const body = await bodyOf(dir);
        const send = options.gateway === undefined ? toSocket(options, io) : await toGateway(options, io);
        const headers = options.expect === undefined ? {} : { 'if-match': `"${options.expect}"` };
        const isCheck = options.check === true;
        const answer = await send(isCheck ? '?check=true' : '', headers, body);
        const { revision, isNew } = revisionIn(answer, isCheck ? 'checked' : 'inForce');
        io.stdout.write(`${escapeControls(said(revision, isNew, isCheck))}\n`);
        return exitCodes.ok;
      }),
    );
}

const said = (revision: string, isNew: boolean, isCheck: boolean): string => {
  if (!isNew) return `Revision ${revision} is in force already.`;
  return isCheck ? `The gateway would take them: revision ${revision}.` : `Revision ${revision} is in force.`;
};

/** A line a file. Throws CliError for a folder that cannot be read. */
async function bodyOf(dir: string): Promise<string> {
  const read = await readPolicyFiles(dir);
  if (!read.ok)
    throw new CliError(exitCodes.usage, formatProblem(read.problem), 'Correct the folder, or name another one.');
  if (read.files.length === 0)
    throw new CliError(exitCodes.usage, `There is no policy in ${dir}.`, 'Name the folder with the .yaml files.');
  return read.files.map((file) => `${JSON.stringify(file)}\n`).join('');
}

const contentType = 'application/x-ndjson';

function toSocket(options: PushOptions, io: Io): Send {
  const config = configOf(options, io);
  const socketPath = adminSocket(config);
  return (query, more, body) =>
    new Promise((resolve, reject) => {
      const headers = { [readerHeader]: io.user, 'content-type': contentType, host: 'sallyport', ...more };
      const path = `/v1/policies${query}`;
      const outgoing = request({ socketPath, method: 'PUT', path, headers, agent: false, timeout: timeoutMs });
      const gone = (error: unknown): void =>
        reject(
          new CliError(
            exitCodes.unreachable,
            `No gateway answers on ${config.stateDir}.`,
            'Start it with `sallyport serve`, or name one elsewhere with --gateway.',
            error,
          ),
        );
      outgoing.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', gone);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')));
      outgoing.on('error', gone);
      outgoing.end(body);
    });
}

async function toGateway(options: PushOptions, io: Io): Promise<Send> {
  const credentials = openCredentials(configFolder(io.env));
  const url = trustedGateway(options, io, credentials);
  const { token } = await freshToken({ credentials, gateway: url, minValidityMs });
  return async (query, more, body) => {
    try {
      const response = await boundedFetch(`${url}/policies${query}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${token}`, 'content-type': contentType, ...more },
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      throw unreachable({ name: 'The gateway', url }, error);
    }
  };
}

const remedies: Readonly<Record<string, string>> = {
  policies_invalid: 'Correct them: `sallyport policy check` says the same without a gateway.',
  revision_conflict: 'Somebody else has pushed: take in what they changed, then push on that revision.',
  push_not_taken: 'Change them there; or set `policies.source: push`.',
  policy_push_denied: 'Ask whoever runs the gateway: `policies.push.groups`.',
  push_failed: 'Look at the log of the gateway, then try again.',
  not_found: 'This gateway takes no pushes here: `policies.source` and `policies.push.groups`.',
};

/** @param done what the answer must say that was done */
function revisionIn({ status, text }: Answer, done: 'checked' | 'inForce'): { revision: string; isNew: boolean } {
  const body = parse(text);
  if (status === 200 && typeof body['revision'] === 'string' && body[done] === true)
    return { revision: body['revision'], isNew: body['new'] === true };
  const error = typeof body['error'] === 'object' && body['error'] !== null ? (body['error'] as Json) : {};
  const code = typeof error['code'] === 'string' ? error['code'] : status === 404 ? 'not_found' : '';
  const message = typeof error['message'] === 'string' ? error['message'] : `The gateway answered ${status}.`;
  const problems = Array.isArray(error['problems']) ? error['problems'].map((problem) => `\n  ${problem}`) : [];
  const inForce = typeof error['revision'] === 'string' ? ` In force: ${error['revision']}.` : '';
  throw new CliError(
    code === 'invalid_argument' ? exitCodes.usage : exitCodes.failed,
    `${message}${inForce}${problems.join('')}`,
    remedies[code] ?? (status === 401 ? 'Run `sallyport login`.' : 'Look at the log of the gateway.'),
  );
}

type Json = Readonly<Record<string, unknown>>;

function parse(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Json) : {};
  } catch {
    return {};
  }
}
