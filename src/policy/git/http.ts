/** The one way in which the gateway asks a git server: bounded in bytes, no redirects, the credential for this server only. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { GitProblem } from './problem.ts';

export interface HttpOptions {
  /** Of the repository, without a slash at its end. */
  readonly url: string;
  /** HTTP Basic. */
  readonly credential: { readonly username: string; readonly password: string } | undefined;
  /** PEM; undefined: the system's CAs. */
  readonly ca: string | undefined;
  /** Longest answer in bytes. */
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly contentType: string;
  readonly body: Buffer;
}

/** A connection on which nothing moves is given up, milliseconds; the whole look has a limit of its own (origin.ts). */
const idleMs = 20_000;

/** RFC 7617. */
export function basicOf({ username, password }: NonNullable<HttpOptions['credential']>): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}

/** GET, or POST where there is a body. Throws GitProblem for anything but 200. */
export async function ask(
  options: HttpOptions,
  path: string,
  post?: { readonly contentType: string; readonly body: Buffer },
): Promise<HttpAnswer> {
  const url = new URL(`${options.url}${path}`);
  const { credential, ca } = options;
  const headers: Record<string, string> = { 'user-agent': 'git/2.0 (sallyport)', 'accept-encoding': 'identity' };
  if (credential !== undefined) headers['authorization'] = `Basic ${basicOf(credential)}`;
  if (post !== undefined) {
    headers['content-type'] = post.contentType;
    headers['content-length'] = String(post.body.length);
  }
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise<HttpAnswer>((resolve, reject) => {
    const outgoing = send(
      url,
      { method: post === undefined ? 'GET' : 'POST', headers, agent: false, timeout: idleMs, ...(ca && { ca }) },
      (response) => {
        const problem = problemWithStatus(response.statusCode ?? 0, response.headers.location, url);
        if (problem !== undefined) {
          outgoing.destroy();
          return reject(problem);
        }
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes > options.maxBytes)
            outgoing.destroy(
              new GitProblem(`the repository is larger than ${options.maxBytes} bytes (policies.git.maxBytes)`),
            );
        });
        response.on('error', (error) => reject(asProblem(error)));
        response.on('aborted', () => reject(new GitProblem('the repository’s answer ended early')));
        response.on('end', () =>
          resolve({ contentType: response.headers['content-type'] ?? '', body: Buffer.concat(chunks) }),
        );
        return undefined;
      },
    );
    outgoing.on('timeout', () =>
      outgoing.destroy(new GitProblem(`the repository said nothing for ${idleMs / 1000} s`)),
    );
    outgoing.on('error', (error) => reject(asProblem(error)));
    outgoing.end(post?.body);
  });
}

function problemWithStatus(status: number, location: string | undefined, asked: URL): GitProblem | undefined {
  if (status === 200) return undefined;
  if (status === 401 || status === 403)
    return new GitProblem(`the repository does not let the gateway in (${status}): see policies.git.credential`);
  if (status === 404) return new GitProblem('there is no such repository, or the gateway may not know of it (404)');
  if (status >= 300 && status < 400 && location !== undefined) {
    const there = URL.parse(location, asked);
    // Its query may be a secret of its own.
    const shown = there === null ? '' : ` (${there.origin}${there.pathname})`;
    return new GitProblem(`the repository is elsewhere (${status}): policies.git.url must be where it leads${shown}`);
  }
  return new GitProblem(`the repository’s server answered ${status}`);
}

function asProblem(error: Error & { readonly code?: string }): GitProblem {
  if (error instanceof GitProblem) return error;
  return new GitProblem(`the repository cannot be reached (${error.code ?? error.message})`);
}
